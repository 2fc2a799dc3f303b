"""The pose clip of a job: cut into shots, one person of it followed, read, and what cannot be used held over.

Conventions: frames are uint8 [H, W, 3] of any size until they are normalised; see `reading.clip_following`.
"""

import dataclasses
from collections.abc import Sequence

import cv2
import jax
import numpy as np

from vton_jax.compositing import backdrops, normalisation
from vton_jax.core import framing
from vton_jax.core.types import Pose
from vton_jax.media import visualize
from vton_jax.reading import clip_following
from vton_jax.systems.protocol import PeopleReader, TryOnSystem

_HALO = 2 / 256  # of the frame's height around a person that is painted over: the outline is not read to the pixel
_CROWDED = 2  # of the frames looked at that show several people: a single one may be misread


@dataclasses.dataclass(frozen=True)
class PoseClip:
    """Pose frames that show one person, as large as the files have them."""

    frames: list[np.ndarray]
    starts: tuple[int, ...] = (0,)
    rate: float | None = None  # frames a second; None: a photo
    notes: tuple[str, ...] = ()

    @property
    def shots(self) -> list[list[np.ndarray]]:
        ends = [*self.starts[1:], len(self.frames)]
        return [list(self.frames[first:end]) for first, end in zip(self.starts, ends, strict=True)]


@dataclasses.dataclass(frozen=True)
class ReadClip:
    """Poses [T] without gaps, the normalised frames uint8 [T, H, W, 3] that they are of, and where shots begin."""

    poses: Pose
    frames: np.ndarray
    starts: tuple[int, ...]
    notes: tuple[str, ...]


def one_person(reader: PeopleReader, frames: list[np.ndarray], rate: float | None) -> PoseClip:
    """The clip with everybody painted over but the person who is followed; a frame without that person shows nobody.

    Some frames of a shot say whether it shows several people; only then are all of them looked at. With a reader that
    is no `PeopleReader`, nobody is looked for.
    """
    starts = clip_following.shot_starts(frames)
    clip, shown, several = PoseClip(list(frames), starts, rate), [], False
    if len(frames) == 1 or not isinstance(reader, PeopleReader):
        return clip
    for shot in clip.shots:
        glance = normalisation.some_of(len(shot))
        crowded = sum(len(boxes) > 1 for boxes, _ in _look(reader, [shot[index] for index in glance]))
        if crowded < min(_CROWDED, len(glance)):
            shown += shot
            continue
        looks = _look(reader, shot)
        followed = clip_following.follow([boxes for boxes, _ in looks], (0,), float(rate or 1))
        seen = zip(shot, looks, followed, strict=True)
        shown += [without_others(frame, owner, one) for frame, (_, owner), one in seen]
        several = True
    note = "the pose clip shows several people: the one who is largest at the beginning is followed"
    return dataclasses.replace(clip, frames=shown, notes=(note,) if several else ())


def _look(reader: PeopleReader, frames: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """`clip_following.people` of every frame, at the reader's size; nobody is in one of a single colour."""
    fitted = np.stack([framing.fit(frame, reader.size)[0] for frame in frames])
    labels = np.asarray(reader.read_layouts(fitted)[0].segmentation)
    return [clip_following.people(a * clip_following.has_content(b)) for a, b in zip(labels, fitted, strict=True)]


def without_others(frame: np.ndarray, owner: np.ndarray, followed: int) -> np.ndarray:
    """A frame [H, W, 3] in which the others' pixels are filled in from around them.

    Args: owner: whose each fitted pixel is. followed: that person's number, -1 where nobody is.
    """
    place = framing.fit(np.broadcast_to(np.uint8(0), frame.shape[:2]), owner.shape)[1]
    own = (owner == followed) & (owner >= 0)
    reach = framing.pixels(_HALO, len(owner))
    grown = cv2.dilate(((owner >= 0) & ~own).astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8))
    others = place.restore(grown * ~own, nearest=True)
    if not others.any():
        return frame
    return visualize.to_uint8(backdrops.fill(framing.to_float(frame), np.float32(others == 0)))


@dataclasses.dataclass(frozen=True)
class Seen:
    """What every frame shows."""

    poses: Pose  # [T]
    frames: np.ndarray  # uint8 [T, H, W, 3], normalised
    usable: np.ndarray  # bool [T], whether somebody is seen


def look(system: TryOnSystem, clip: PoseClip, places: Sequence[normalisation.Normalisation]) -> Seen:
    """Reads the poses of a clip. Args: places: how each shot is normalised. Raises: EmptyPicture, NoPersonFound."""
    shots = zip(places, clip.shots, strict=True)
    frames = np.stack([place.bring(frame, system.size) for place, shot in shots for frame in shot])
    poses = system.read_poses(frames)
    usable = np.ones(len(frames), bool) if poses.usable is None else np.array(poses.usable)
    return Seen(poses, frames, usable)


def read(system: TryOnSystem, clip: PoseClip, places: Sequence[normalisation.Normalisation]) -> ReadClip:
    """`look`, and the frames without a pose are bridged. Raises: EmptyPicture, NoPersonFound, PersonLost."""
    seen = look(system, clip, places)
    poses, frames, usable = seen.poses, seen.frames, seen.usable
    for place, begin, shot in zip(places, clip.starts, clip.shots, strict=True):
        here = slice(begin, begin + len(shot))
        labels = np.asarray(poses.layout.segmentation)[here]
        usable[here] &= ~_leaving(labels, place.shown(system.size), usable[here])
    held = clip_following.hold_over(usable, clip.starts, clip.rate)
    shot_of = np.searchsorted(np.asarray(clip.starts), held.frames, side="right")
    starts = (0, *(int(i) for i in 1 + np.flatnonzero(np.diff(shot_of))))
    poses = poses.replace(usable=None)
    if not np.array_equal(held.frames, np.arange(len(frames))):  # a copy of a long clip takes hundreds of MB
        poses, frames = jax.tree.map(lambda a: a[held.frames], poses), frames[held.frames]
    return ReadClip(poses, frames, starts, (*clip.notes, *filter(None, [held.note])))


def _leaving(labels: np.ndarray, shown: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """`clip_following.leaving` of label maps [T, H, W], within what of the frame is the picture's own [H, W]."""
    boxes = np.full((len(labels), 4), np.nan)
    for index in np.flatnonzero(usable):
        found, _ = clip_following.people(labels[index] * shown)
        boxes[index] = found[0] if len(found) else np.nan
    rows, columns = np.nonzero(shown)
    if not len(rows):
        return np.zeros(len(labels), bool)
    return clip_following.leaving(boxes, np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]))
