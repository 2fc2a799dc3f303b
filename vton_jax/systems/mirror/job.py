"""From options to a live run of the mirror."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from vton_jax import systems
from vton_jax.core import files, framing
from vton_jax.core.errors import UserError, WrongOption
from vton_jax.media import live, live_run, photo_files
from vton_jax.systems import pictures
from vton_jax.systems.mirror.carrying import Carried
from vton_jax.systems.mirror.mirror import Mirror
from vton_jax.systems.mirror.options import MirrorOptions
from vton_jax.systems.pictures import GarmentPicture
from vton_jax.systems.protocol import TryOnSystem

_MOST = 9  # garments: keys 1 to 9


def garment_names(garment: str | Sequence[str] | None) -> tuple[str, ...]:
    """The files that the option `garment` names, with commas between or given again. Raises: WrongOption."""
    given = (garment,) if isinstance(garment, str) else tuple(garment or ())
    names = tuple(part.strip() for one in given for part in one.split(",") if part.strip())
    if any(name.lower() == "none" for name in names):
        raise WrongOption("garment", "none", "would leave every frame as it is; name a garment.")
    if len(names) > _MOST:
        raise WrongOption("garment", ",".join(names), f"names {len(names)} pictures; there are keys for {_MOST}.")
    return names or pictures.garment_files(None)


def _open(options: MirrorOptions) -> live.Camera:
    name = options.camera
    return live.open_camera(f"camera:{name}" if name.isdigit() else name, options.max_side)


def frame_size(options: MirrorOptions) -> tuple[int, int]:
    """(height, width) of the camera's frames, as they are dressed. Raises: UserError for a camera that gives none."""
    camera = _open(options)
    try:
        frame = camera.read()
    finally:
        camera.close()
    if frame is None:
        raise UserError(f"The camera {options.camera} gives no pictures; another program may use it.")
    factor = min(1.0, options.max_side / max(frame.shape[:2]))
    height, width = (max(1, round(factor * side)) for side in frame.shape[:2])
    return height, width


def make_mirror(options: MirrorOptions, size: tuple[int, int], system: TryOnSystem | None = None) -> Mirror:
    """The mirror that options ask for. Args: size: of the frames. Raises: UserError."""
    garments = [GarmentPicture(Path(name).name, *photo_files.read_cut_out(name))
                for name in garment_names(options.garment)]  # fmt: skip
    system = system or systems.create(options)
    if not getattr(system, "moving", False):
        raise WrongOption("system", options.system, "dresses photos, and a mirror's frames are a clip.")
    return Mirror(
        system,
        garments,
        size,
        garment_type=None if options.garment_type == "auto" else options.garment_type,
        flat={"auto": None, "flat": True, "person": False}[options.garment_is],
        smooth=options.smooth,
        flip=options.flip,
    )


def warm_up(mirror: Mirror) -> None:
    """Compiles all programs, with the packaged person in every garment, before the first frame comes."""
    photo = photo_files.read_photo(pictures.SAMPLES / "person.png")
    frame = framing.fit(photo, mirror.size)[0]
    for number in range(len(mirror.choices), 0, -1):
        mirror.choose(number)
        mirror.process(np.ascontiguousarray(frame))
    mirror.choose(1)
    mirror.forget()


def run(
    options: MirrorOptions, output: Path | None, say: Callable[[str], None], system: TryOnSystem | None = None
) -> live.Timing:
    """The whole command: a camera, dressed, to a display, and into a recording that stays intact.

    Args: system: to use instead of the one that options name. Raises: UserError, before anything is shown or written.
    """
    garment_names(options.garment)  # what cannot be is said before the camera is opened
    if output is not None and output.suffix.lower() != ".mp4":
        raise WrongOption("output", output, "should end in .mp4.")
    if output is not None:
        files.require_writable(output, [options.camera, *garment_names(options.garment)])
    size = frame_size(options)
    mirror = make_mirror(options, size, system)
    say("getting ready")
    warm_up(mirror)
    say(f"live: camera {options.camera}, {size[1]}x{size[0]}; keys in the window: 1-9 garment, m mirrors, q ends")
    shown = live_run.Shown(
        "vton mirror: q ends, 1-9 garment, m mirrors", options.display, options.virtual_camera, output
    )
    with contextlib.closing(Carried(mirror)) as carried:
        loop = live.Loop(carried.process, on_key=carried.key, note=carried.note)
        timing = live_run.run(loop, _open(options), shown, size, options.seconds)
    say(f"{timing.line()}; {carried.dressed} of them dressed anew, the others carried along")
    return timing
