"""What jobs of the studio do: read, dress, fill in, watch the backward procedure. All of it in the queue's worker.

Conventions: files lie in the job's folder, which is all that a job writes to; results are dictionaries that JSON can
hold, whose paths are absolute.
"""

import collections
import dataclasses
import json
import typing
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from vton_jax import systems
from vton_jax.command_line import commands, mends
from vton_jax.core import boxes, framing
from vton_jax.core.errors import Cancelled, WrongOption
from vton_jax.core.types import Pose
from vton_jax.media import photo_files, video_files
from vton_jax.studio import shown
from vton_jax.studio.jobs import Job
from vton_jax.systems.first_order import job as first_order
from vton_jax.systems.first_order.options import DriveOptions
from vton_jax.systems.job import Reading, TryOnJob
from vton_jax.systems.options import JobOptions

SIZES = {"256x192": None, "512x384": "512x384", "1024x768": "1024x768", "as the photo": "photo"}  # what people choose
ITERATIONS = 60  # of the backward procedure, watched
_KEPT_SYSTEMS = 3  # in memory, with their programs


@dataclasses.dataclass(frozen=True)
class Kept:
    """What a job leaves for later ones."""

    options: JobOptions
    reading: Reading


class Systems:
    """The systems that were used last; all are made and used by the worker alone."""

    def __init__(self):
        self._kept: collections.OrderedDict[tuple, Any] = collections.OrderedDict()

    def of(self, options: JobOptions):
        """The system that options name."""
        arm = options.remap if options.system == "lab126" else ""
        arm = "post" if arm == "auto" else arm  # as the job resolves it
        key = (options.system, arm, options.layout, options.solver, options.weights)
        return self._get(key, lambda: _create(options, arm))

    def driver(self, options: DriveOptions):
        """What brings pictures to life."""
        key = ("first_order", options.motion, options.region, options.weights)
        return self._get(key, lambda: first_order.make_driver(options))

    def inpainter(self, weights: str | None):
        """FiNet."""

        def create():
            from vton_jax.systems.finet.system import Finet

            return Finet(weights)

        return self._get(("finet", weights), create)

    def _get(self, key: tuple, create):
        if key not in self._kept:
            while len(self._kept) >= _KEPT_SYSTEMS:
                self._kept.popitem(last=False)
            self._kept[key] = create()
        self._kept.move_to_end(key)
        return self._kept[key]


def _create(options: JobOptions, arm: str):
    return systems.create(dataclasses.replace(options, remap=arm or options.remap))


def choices(name: str) -> tuple[str, ...]:
    """The values that an option of `JobOptions` may have."""
    if name == "system":
        return tuple(systems.SYSTEMS)
    if name == "output_size":
        return tuple(size or "256x192" for size in SIZES.values())
    return typing.get_args(typing.get_type_hints(JobOptions)[name])


CHOSEN = (
    "system", "remap", "layout", "garment_type", "garment_is", "tuck", "temporal_filter", "background", "framing",
    "output_size",
)  # fmt: skip
BOXES = ("person_box", "garment_box")


def options_of(asked: Mapping[str, Any], files: Mapping[str, Any], num_frames: int, weights: str | None) -> JobOptions:
    """The options of a job.

    Args: asked: what was chosen: `CHOSEN` and `BOXES` by their names, several boxes of garments as a sequence. files:
    decoded, by `person`, `garment` (several as a tuple; may be "none"), `garment_mask` (likewise) and `pose`; a person
    without a garment of their own takes the packaged one. num_frames, weights: see `JobOptions`. Raises: WrongOption.
    """
    values = {name: _boxes(name, asked[name]) for name in BOXES if asked.get(name)}
    for name in CHOSEN:
        value = asked.get(name)
        if value is None:
            continue
        if value not in choices(name):
            raise WrongOption(name, value, f"is unknown; known are {', '.join(choices(name))}.")
        values[name] = value
    if values.get("output_size") == "256x192":
        values["output_size"] = None
    return JobOptions(**values, **files, num_frames=num_frames, weights=weights)


def _boxes(name: str, given: str | Sequence[str]) -> str | tuple[str, ...] | None:
    """Boxes as an option holds them; None where there is none. Raises: WrongOption."""
    texts = (given,) if isinstance(given, str) else tuple(given)
    for text in texts:
        try:
            boxes.parse(text)
        except ValueError as error:
            raise WrongOption(name, text, f"is not understood: {error}.") from None
    while texts and not texts[-1].strip():
        texts = texts[:-1]
    return None if not texts else texts[0] if len(texts) == 1 else texts


def read(job: Job, options: JobOptions, kept: Systems) -> dict[str, Any]:
    """Reads, and shows what was read."""
    try_on = TryOnJob(options, system=kept.of(options), progress=job.step)
    pictures = try_on.pictures()
    reading = try_on.read(pictures)
    job.kept = Kept(options, reading)
    job.notes = (*map(mends.said, reading.said), *reading.notes)
    return {"reading": shown.reading(reading, pictures, job.folder)}


def go_on(job: Job, seen: Job, kept: Kept) -> None:
    """Lets a job dress by what another has read. Args: kept: that, with the options of the new one."""
    arms = [f"arm '{TryOnJob(of.options).options.remap}'" for of in (seen.kept or kept, kept)]
    job.notes = tuple(note.replace(*arms) for note in seen.notes)
    job.result, job.kept, job.after = {"reading": seen.result["reading"]}, kept, seen.after or seen


def dress(job: Job, options: JobOptions, kept: Systems) -> dict[str, Any]:
    """Reads unless that was done, dresses, and writes clip, sheet, settings and what the machine did.

    Returns: names and paths of all that.
    """
    if job.kept is None:
        job.result = read(job, options, kept)  # for whoever looks at the job while it runs
    reading = job.kept.reading
    try_on = TryOnJob(options, system=kept.of(options), progress=job.step)
    clip = job.folder / "try_on.mp4"
    written = try_on.write(clip, reading)
    frames, _ = video_files.read_frames(clip, 1)
    before = framing.fit(reading.views.photo, frames[0].shape[:2])[0]
    photo_files.write_image(job.folder / "before.png", before)
    photo_files.write_image(job.folder / "after.png", frames[0])
    machine = shown.machine(reading, written.results, job.folder)
    return job.result | {
        "clip": str(clip), "sheet": str(clip.with_suffix(".png")), "frames": written.num_frames,
        "before": str(job.folder / "before.png"), "after": str(job.folder / "after.png"),
        "machine": machine, "save": str(_saved(job, options)),
    }  # fmt: skip


def _saved(job: Job, options: JobOptions) -> Path:
    """The clip with its settings in one archive: unpacked, `vton render --flagfile=render.flags` makes it again."""
    default = JobOptions()
    given = {name: value for name, value in vars(options).items() if value != getattr(default, name)}
    given.pop("weights", None)
    inputs = []
    for name in ("person", "garment", "garment_mask", "pose"):
        if name in given and given[name] != "none":
            inputs += [Path(path) for path in _several(given[name]) if path]
            given[name] = tuple(Path(path).name for path in _several(given[name]))
    text = "".join(f"--{name}={value}\n" for name, values in given.items() for value in _several(values))
    about = {"version": commands.version().splitlines(), "options": given, "notes": job.notes}
    archive = job.folder / "try_on.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in (*inputs, job.folder / "try_on.mp4", job.folder / "try_on.png"):
            file.write(path, path.name)
        file.writestr("render.flags", text)
        file.writestr("settings.json", json.dumps(about, indent=1))
    return archive


def _several(value) -> tuple:
    return value if isinstance(value, tuple) else (value,)


def watch_search(job: Job, seen: Kept, kept: Systems, frame: int) -> dict[str, Any]:
    """Films the backward procedure on one frame of what a job has read."""
    from vton_jax.systems.lab126 import inversion_film

    if seen.options.system != "lab126":
        raise WrongOption("system", seen.options.system, "has no backward procedure.")
    reading = seen.reading
    index = min(frame // reading.every, len(reading.pose_frames) - 1)
    one: Pose = jax.tree.map(lambda a: a[index : index + 1], reading.poses)
    reading = dataclasses.replace(reading, poses=one, pose_frames=reading.pose_frames[index : index + 1])
    job.step("backward procedure", 0, ITERATIONS)

    def watch(iteration: int, error: float) -> None:
        job.step("backward procedure", min(iteration + 1, ITERATIONS), ITERATIONS)

    errors = inversion_film.write(kept.of(seen.options), reading, job.folder, ITERATIONS, watch)
    return {"film": str(job.folder / "iterations.mp4"), "errors": errors, "frame": index * seen.reading.every}


def fill_in(job: Job, options, kept: Systems) -> dict[str, Any]:
    """Fills a region in several ways. Args: options: `finet.options.InpaintOptions`."""
    from vton_jax.systems.finet import sheet

    written = sheet.fill(options, kept.inpainter(options.weights), job.step).write(job.folder / "filled.png")
    return {"sheet": str(written[0]), "pictures": [str(path) for path in written[1:]]}


def drive(job: Job, options: DriveOptions, kept: Systems) -> dict[str, Any]:
    """Moves a picture as a clip moves."""
    said: list[str] = []
    clip = first_order.run(options, job.folder / "driven.mp4", said.append, job.step, kept.driver(options))
    job.notes = tuple(said)
    return {"clip": str(clip)}


def warm(job: Job, kept: Systems, weights: str | None) -> dict[str, Any]:
    """Dresses the example, so that weights are read and programs compiled before anybody waits for them."""
    try:
        return dress(job, JobOptions(weights=weights), kept)
    except Cancelled:
        return {}
