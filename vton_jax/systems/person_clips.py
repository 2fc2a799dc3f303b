"""A clip of the person themselves: every frame is a photo of the user in a pose of its own.

Conventions: frames are uint8 [T, h, w, 3] of the system's size, normalised; the file's own frames, uint8 [H, W, 3], are
read again when they are needed, one at a time: a long clip is never in memory at its own size.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np

from vton_jax.compositing import backdrops, normalisation
from vton_jax.core.errors import EmptyPicture, NoPersonFound
from vton_jax.core.framing import to_float
from vton_jax.core.types import Dressed, Pose, Result, Target, User
from vton_jax.media import video_files
from vton_jax.systems import pose_clips
from vton_jax.systems.protocol import TryOnSystem

WHERE = "the person's clip"


@dataclasses.dataclass(frozen=True)
class PersonClip:
    """A clip as it was read."""

    file: Path
    frames: np.ndarray  # uint8 [T, h, w, 3]
    poses: Pose  # [T]; a frame that shows nobody has the pose of the one before
    usable: np.ndarray  # bool [T], whether somebody is seen; other frames stay as they are
    places: tuple[normalisation.Normalisation, ...]  # of every frame
    starts: tuple[int, ...]  # the frames that begin a shot
    notes: tuple[str, ...] = ()

    def user(self, index: int, inpaint: bool) -> User:
        """The person in one frame. Args: inpaint: whether the backdrop is filled in behind them."""
        pose = jax.tree.map(lambda a: a[index], self.poses)
        return user_of(self.frames[index], pose, self.places[index], inpaint)

    def users(self, inpaint: bool) -> Iterator[User]:
        """The person in every frame, made as they are asked for."""
        return (self.user(index, inpaint) for index in range(len(self.frames)))

    def pictures(self) -> Iterator[tuple[np.ndarray, normalisation.Normalisation]]:
        """The file's own frames, and how each is normalised."""
        frames, _ = video_files.open_frames(self.file, len(self.frames))
        return zip(frames, self.places, strict=True)

    def untouched(self, index: int, target: Target) -> Result:
        """The result of a frame that shows nobody: the frame itself."""
        image = to_float(self.frames[index])
        none, flow = np.zeros(image.shape[:2], np.float32), np.zeros((*image.shape[:2], 2), np.float32)
        return Result(Dressed(image, np.zeros_like(target.final), flow, none + 1, none, flow, none), target)


def user_of(frame: np.ndarray, pose: Pose, place: normalisation.Normalisation, inpaint: bool) -> User:
    """The person in a frame uint8 [h, w, 3], normalised as `place` says, in the pose that was read in it."""
    image = to_float(frame)
    backdrop = backdrops.backdrop(image, np.asarray(pose.layout.segmentation), moving=True) if inpaint else None
    return User(image, pose.layout, pose.latent, place.shown(image.shape[:2]), backdrop)


def read(system: TryOnSystem, file: Path, frames: list[np.ndarray], clip: pose_clips.PoseClip, places) -> PersonClip:
    """Reads the person in every frame.

    Args: frames: as the file has them, if smaller. clip: the same with everybody painted over but the person who is
    followed. places: how the frames of every shot are normalised. Raises: EmptyPicture, NoPersonFound.
    """
    try:
        seen = pose_clips.look(system, clip, places)
    except (EmptyPicture, NoPersonFound) as error:
        raise type(error)(WHERE) from None
    each = [place for place, shot in zip(places, clip.shots, strict=True) for _ in shot]
    own = seen.frames if not clip.notes else np.stack(
        [place.bring(frame, system.size) for place, frame in zip(each, frames, strict=True)]
    )  # fmt: skip
    numbers = np.where(seen.usable, np.arange(len(own)), -1)
    held = np.maximum.accumulate(numbers)
    held = np.where(held < 0, np.flatnonzero(seen.usable)[0], held)
    poses = jax.tree.map(lambda a: np.asarray(a)[held], seen.poses.replace(usable=None))
    notes = [*clip.notes]
    if not seen.usable.all():
        notes.append(f"nobody is found in {(~seen.usable).sum()} of the {len(own)} frames, which stay as they are")
    return PersonClip(file, own, poses, seen.usable, tuple(each), clip.starts, tuple(notes))


def slim(results: Iterator[Result], clip: PersonClip) -> Iterator[Result]:
    """Results without what nobody looks at afterwards: of a clip all are kept at once; frames without anybody stay."""
    for index, result in enumerate(results):
        target = dataclasses.replace(result.target, steps={})
        yield dataclasses.replace(result, target=target) if clip.usable[index] else clip.untouched(index, target)


def first_of(clip: PersonClip, inpaint: bool) -> User:
    """The person as the first frame that shows them does."""
    return clip.user(int(np.flatnonzero(clip.usable)[0]), inpaint)
