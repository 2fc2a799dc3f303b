"""What the files of a try-on hold, as they are.

Conventions: pictures are uint8 [H, W, 3] of any size, masks bool [H, W], what a picture's own alpha channel or a mask
beside it shows.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vton_jax.core import boxes, framing
from vton_jax.core.errors import UserError, WrongOption
from vton_jax.media import photo_files, video_files
from vton_jax.media.files import MIN_SIDE
from vton_jax.systems.options import PictureOptions

POSE_FRAMES = 48  # of a pose clip, unless more are asked for
POSE_SIDE = 1280  # of the frames of a pose clip
_POSE_BYTES = 250_000_000  # of all of them: those of a long clip are smaller
_LEAST_SIDE, _UNKNOWN = 480, 1000  # the longer side, at least; frames of a clip that does not say how many it has
_LEEWAY = 0.01  # a clip of 29.97 frames a second counts as one of 30
READ_SIDE = 768  # of the frames of a person's clip when they are read: the networks see less
SAMPLES = Path(__file__).resolve().parents[1] / "samples"


@dataclasses.dataclass(frozen=True)
class GarmentPicture:
    """A garment's picture."""

    file: str  # its name
    picture: np.ndarray
    mask: np.ndarray | None = None
    part: boxes.Part | None = None  # of which the picture is what a box shows


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Of whom, in what, and in which poses."""

    photo: np.ndarray
    garments: tuple[GarmentPicture, ...]  # none: the person's own clothes
    poses: list[np.ndarray]
    rate: float | None = None  # frames a second of the file; None: the pose is a photo
    photo_mask: np.ndarray | None = None
    photo_part: boxes.Part | None = None  # of which the photo is what a box shows
    # A clip of the person: every frame is a photo, and `poses` are its frames, no larger than reading needs them.
    clip: Path | None = None
    every: int = 1  # of the pose clip's frames so many make one of `poses`
    count: int | None = None  # of its frames; None: of `poses`

    @property
    def poses_rate(self) -> float | None:
        """Of `poses`, a second; None: the pose is a photo."""
        return None if self.rate is None else float(self.rate) / self.every

    @property
    def garment(self) -> np.ndarray | None:
        """The first garment's picture."""
        return self.garments[0].picture if self.garments else None


def sheet_beside(output: Path) -> Path:
    """Where the contact sheet of an output lies: NAME.png beside NAME.mp4, NAME_sheet.png beside a picture."""
    if output.suffix.lower() == ".mp4":
        return output.with_suffix(".png")
    return output.with_name(f"{output.stem}_sheet.png")


def garment_files(garment: str | Sequence[str] | None) -> tuple[str, ...]:
    """The files that the option `garment` names; none for the person's own clothes. Raises: WrongOption."""
    names = (garment,) if isinstance(garment, str) else tuple(garment or ())
    if not names or names == ("",):
        return (str(SAMPLES / "garment.png"),)
    own = [name.lower() == "none" for name in names]
    if any(own) and len(names) > 1:
        raise WrongOption("garment", "none", "is the person's own clothes, and goes with no other garment.")
    return () if any(own) else names


def mask_files(garment_mask: str | Sequence[str] | None) -> tuple[str, ...]:
    """The files that the option `garment_mask` names, garment by garment; "" where a mask is looked for."""
    return (garment_mask,) if isinstance(garment_mask, str) else tuple(garment_mask or ())


def _call(function: Callable, *arguments):
    return function(*arguments)


def read(options: PictureOptions, call: Callable = _call) -> Pictures:
    """Reads the files that options name.

    Args: call: calls a function that reads a file with its arguments, the file first; whoever keeps files answers with
    what is kept. Raises: MediaError for a file that is missing, broken or none, WrongOption, UserError for a mask that
    marks nothing.
    """
    garments = tuple(GarmentPicture(Path(name).name, *call(photo_files.read_cut_out, name))
                     for name in garment_files(options.garment))  # fmt: skip
    garments = _boxed(options.garment_box, _masked(options.garment_mask, garments, call))
    limit = getattr(options, "num_frames", None)
    if options.person and video_files.is_clip(options.person):
        return _of_clip(options, garments, limit)
    photo, mask = call(photo_files.read_cut_out, options.person or SAMPLES / "person.png")
    photo, mask, part = _part("person_box", options.person_box or "", photo, mask)
    if options.person and not options.pose:
        return Pictures(photo, garments, [photo], photo_mask=mask, photo_part=part)
    painted_rate = getattr(options, "painted_rate", 0)
    frames = call(_poses, Path(options.pose or SAMPLES / "pose.mp4"), limit or POSE_FRAMES, painted_rate)
    return Pictures(
        photo, garments, frames.kept, frames.rate, mask, part, every=frames.every, count=frames.count
    )  # fmt: skip


def _masked(
    given: str | Sequence[str] | None, garments: tuple[GarmentPicture, ...], call: Callable
) -> tuple[GarmentPicture, ...]:
    """The garments, with the masks that files of their own show. Raises: MediaError, WrongOption."""
    names = mask_files(given)
    _require_pictures("garment_mask", "masks", names, garments)
    found = list(garments)
    for index, name in enumerate(names):
        if name:
            mask = call(photo_files.read_photo, name)[..., 0]
            mask = framing.resize(mask, garments[index].picture.shape[:2], nearest=True) > 127
            found[index] = dataclasses.replace(garments[index], mask=mask)
    return tuple(found)


def _require_pictures(name: str, what: str, texts: Sequence[str], garments: Sequence[GarmentPicture]) -> None:
    if len(texts) > len(garments):
        why = f"names more {what} than there are pictures of garments ({len(garments)})."
        raise WrongOption(name, ";".join(texts), why)


def _boxed(given: str | Sequence[str] | None, garments: tuple[GarmentPicture, ...]) -> tuple[GarmentPicture, ...]:
    """The garments, of each what its box shows. Raises: WrongOption."""
    texts = (given,) if isinstance(given, str) else tuple(given or ())
    _require_pictures("garment_box", "boxes", texts, garments)
    found = list(garments)
    for index, text in enumerate(texts):
        picture, mask, part = _part("garment_box", text, garments[index].picture, garments[index].mask)
        found[index] = dataclasses.replace(garments[index], picture=picture, mask=mask, part=part)
    for garment in found:
        if garment.mask is not None and not garment.mask.any():
            raise UserError(f"The mask marks nothing of {garment.file}; paint the garment, or leave the mask out.")
    return tuple(found)


def _part(
    name: str, text: str, picture: np.ndarray, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None, boxes.Part | None]:
    """What a box shows of a picture and of its mask, and the part that it is.

    Args: name: of the option. text: the box, or "" for all of it. Raises: WrongOption.
    """
    try:
        box = boxes.parse(text)
    except ValueError as error:
        raise WrongOption(name, text, f"is not understood: {error}.") from None
    if box is None:
        return picture, mask, None
    part = boxes.Part(picture, box)
    height, width = part.inner.shape[:2]
    if min(height, width) < MIN_SIDE:
        raise WrongOption(name, text, f"leaves {width}x{height} pixels of the picture; make it larger.")
    return part.inner, None if mask is None else mask[box.pixels(mask.shape)], part


class PoseFrames(NamedTuple):
    """A pose clip's frames, or some of them."""

    kept: list[np.ndarray]
    rate: float | None  # frames a second of the file; None: a photo
    every: int  # of its frames so many make one of `kept`
    count: int  # of its frames


def _poses(path: Path, limit: int, painted_rate: float) -> PoseFrames:
    """The frames that are painted: as many a second as are wanted, at least, where the clip has so many."""
    if not video_files.is_clip(path):
        frames, rate = video_files.read_frames(path, limit)
    else:
        about = video_files.video_info(path)
        side = _side(about, min(limit, about.num_frames or _UNKNOWN) / every_nth(about.frame_rate, painted_rate))
        frames, rate = video_files.open_frames(path, limit, side)
    every = every_nth(rate, painted_rate)
    kept, count = [], 0
    for count, frame in enumerate(frames, start=1):
        if (count - 1) % every == 0:
            kept.append(frame)
    return PoseFrames(kept, rate, every, count)


def every_nth(rate: float | None, painted_rate: float) -> int:
    """One of how many frames of a clip of `rate` a second is painted, so that `painted_rate` a second are at least."""
    return 1 if not rate or not painted_rate else max(1, int(float(rate) / painted_rate + _LEEWAY))


def _side(about: video_files.VideoInfo, count: float) -> int:
    """The longer side that so many frames of a clip may have, all being in memory."""
    side = int((_POSE_BYTES / 3 / count * max(about.size) / min(about.size)) ** 0.5)
    return min(POSE_SIDE, max(side, _LEAST_SIDE))


def _of_clip(options: PictureOptions, garments: tuple[GarmentPicture, ...], limit: int | None) -> Pictures:
    path = Path(options.person)
    if options.pose:
        raise WrongOption("pose", options.pose, f"goes with a photo of the person: {path.name} is a clip with its own.")
    if options.person_box:
        raise WrongOption("person_box", options.person_box, f"goes with a photo of the person: {path.name} is a clip.")
    if not garments:
        raise WrongOption("garment", "none", f"would leave the clip {path.name} as it is; name a garment.")
    photo = next(video_files.open_frames(path, 1)[0])
    about = video_files.video_info(path)
    count = about.num_frames or _UNKNOWN
    count = count if limit is None else min(limit, count)
    frames, rate = video_files.open_frames(path, limit, min(READ_SIDE, _side(about, count)))
    return Pictures(photo, garments, list(frames), rate, clip=path)
