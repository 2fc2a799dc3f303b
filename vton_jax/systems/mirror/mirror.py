"""Whoever stands before a camera, dressed frame by frame: every frame is a photo of the user in a pose of its own.

Conventions: frames are uint8 [H, W, 3] of one size; times are seconds of a steady clock.
"""

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np

from vton_jax.compositing import full_size, normalisation, temporal_filters
from vton_jax.core import framing
from vton_jax.core.errors import EmptyPicture, NoPersonFound
from vton_jax.core.types import Garment, Pose, Result, User
from vton_jax.media import visualize
from vton_jax.reading import clip_following
from vton_jax.systems import person_clips, pose_clips
from vton_jax.systems.mirror.following import Follower
from vton_jax.systems.pictures import GarmentPicture
from vton_jax.systems.protocol import TryOnSystem

# Seconds between frames that are mixed: on a clip of somebody who turns, frames 1.4 s apart left eyes beside the eyes.
_CLOSE = 0.3


@dataclasses.dataclass(frozen=True)
class Choice:
    """A garment as it was read once, and the frames that show it, one for every `Mirror.now`."""

    name: str
    garment: Garment
    frames: Iterator[np.ndarray]


@dataclasses.dataclass
class Now:
    """What is dressed and shown next."""

    worn: tuple[User, Pose] | None = None
    image: np.ndarray | None = None  # float [h, w, 3], perhaps smoothed
    result: Result | None = None
    photo: tuple[np.ndarray, normalisation.Normalisation] | None = None


def dressed_live(
    system: TryOnSystem, garments: Sequence[Garment], frames: Iterator[tuple[User, Pose]]
) -> Iterator[Result]:
    """A result for every frame as it comes, by `dress_live` where the system has it; else each frame is a clip."""
    if hasattr(system, "dress_live"):
        yield from system.dress_live(garments, frames)
        return
    for user, pose in frames:
        yield next(iter(system.dress(iter([user]), garments, pose)))


class Mirror:
    """Dresses frames as they come. Keys: `1` to `9` change the garment, `m` mirrors left and right.

    Args: system: one whose attribute `moving` is true. garments: each is worn alone. size: (height, width) of the
    frames. garment_type, flat: of all of them, see `TryOnSystem.read_garment`. Raises what reading a garment raises.
    """

    def __init__(
        self,
        system: TryOnSystem,
        garments: Sequence[GarmentPicture],
        size: tuple[int, int],
        *,
        garment_type: str | None = None,
        flat: bool | None = None,
        smooth: bool = True,
        flip: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._system, self._clock, self.size = system, clock, size
        self.flip, self._smooth, self._follower = flip, smooth, Follower(system.reader, size)
        self._now, self.seen = Now(), False
        self._before, self._results = None, None  # the frame before, and what dresses from frame to frame
        self.choices = [self._choice(given, garment_type, flat) for given in garments]
        self.number = 1

    def _choice(self, given: GarmentPicture, garment_type: str | None, flat: bool | None) -> Choice:
        """Reads a garment, normalised where it is worn."""
        system, window = self._system, self._follower.window
        flat = system.reader.looks_flat(given.picture) if flat is None else flat
        place = normalisation.Normalisation()
        if not flat:
            place, _ = normalisation.normalisation_of(system.reader, [given.picture])
        where = normalisation.Framing(garments=(normalisation.Shown(place, flat),))
        canvas = full_size.canvas_for(system.size, None, window)
        empty = np.zeros((*window, 3), np.uint8)  # the frames come later
        views = full_size.Views(where, empty, [given.picture], system.size, canvas)
        own = {} if given.mask is None else {"mask": place.bring_mask(given.mask, system.size)}
        garment = system.read_garment(views.garments[0], garment_type, flat, **own)
        images, results, photos = (self._fed(name) for name in ("image", "result", "photo"))
        return Choice(given.file, garment, views.show(zip(images, results, strict=True), [garment], photos))

    def _fed(self, name: str) -> Iterator:
        return (getattr(self._now, name) for _ in itertools.count())

    # ------------------------------------------------------------------------------------------------------------ keys

    def key(self, key: str) -> None:
        """Does what a key asks."""
        if key == "m":
            self.flip = not self.flip
        elif key.isdigit():
            self.choose(int(key))

    def choose(self, number: int) -> None:
        """Puts on garment `number`, from 1; where there is none, nothing changes."""
        if 0 < number <= len(self.choices) and number != self.number:
            self.number, self._before, self._results = number, None, None

    def note(self) -> str:
        """What a viewer should know beside the picture."""
        which = f"{self.number} of {len(self.choices)}: {self.choices[self.number - 1].name}"
        return "; ".join(([which] if len(self.choices) > 1 else []) + ([] if self.seen else ["nobody is seen"]))

    # ---------------------------------------------------------------------------------------------------------- frames

    def forget(self) -> None:
        """Nothing of earlier frames counts any more."""
        self._follower.lost()
        self._before, self._results, self.seen = None, None, False

    def process(self, frame: np.ndarray) -> np.ndarray:
        """A frame in which the person wears the garment; where nobody is seen, the frame as it is."""
        frame = framing.resize(frame, self.size)
        dressed = self.dress(frame)
        return self.turned(frame if dressed is None else dressed)

    def turned(self, shown: np.ndarray) -> np.ndarray:
        """What is shown, mirrored left for right if that is asked for."""
        return np.ascontiguousarray(shown[:, ::-1]) if self.flip else shown

    def dress(self, frame: np.ndarray) -> np.ndarray | None:
        """`process` of a frame of the mirror's size, never mirrored; None where nobody is seen."""
        dressed = self._dressed(frame)
        self.seen = dressed is not None
        if not self.seen:
            self.forget()
        return dressed

    def _dressed(self, frame: np.ndarray) -> np.ndarray | None:
        where = self._follower.place(frame, self._clock())
        if where is None:
            return None
        place, window = where.normalisation, where.window(frame)
        small = place.bring(window, self._system.size)
        pose = self._read(small)
        if pose is None:
            return None
        self._follower.read(np.asarray(pose.layout.segmentation)[0])
        user = person_clips.user_of(small, jax.tree.map(lambda a: np.asarray(a)[0], pose), place, True)
        choice = self.choices[self.number - 1]
        if self._results is None:
            self._results = dressed_live(self._system, (choice.garment,), self._fed("worn"))
        self._now.worn = user, pose
        self._now.result = next(self._results)
        self._now.image, self._now.photo = self._smoothed(np.asarray(self._now.result.image), place), (window, place)
        canvas = next(choice.frames)
        out = frame.copy()
        out[:, where.left : where.right] = visualize.to_uint8(framing.fit(window, canvas.shape[:2])[1].restore(canvas))
        return out

    def _read(self, small: np.ndarray) -> Pose | None:
        """The pose [1] of whoever stands in the middle of a normalised frame; None where nobody is seen."""
        try:
            pose = self._system.read_poses(small[None], thorough=False)
            boxes, owner = clip_following.people(np.asarray(pose.layout.segmentation)[0])
            if len(boxes) > 1:
                nearest = int(np.abs(boxes[:, [0, 2]].mean(1) - small.shape[1] / 2).argmin())
                alone = pose_clips.without_others(small, owner, nearest)
                pose = self._system.read_poses(alone[None], thorough=False)
        except (EmptyPicture, NoPersonFound):
            return None
        there = pose.usable is None or bool(np.all(pose.usable))
        return pose.replace(usable=None) if there else None

    def _smoothed(self, image: np.ndarray, place: normalisation.Normalisation) -> np.ndarray:
        """The result of the present frame, mixed with the one before where that is of the same place."""
        if not self._smooth:
            return image
        shown, now = image, self._clock()
        if self._before is not None and now - self._before[0] < _CLOSE and self._before[1] == place:
            shown = np.clip(temporal_filters.step(*self._before[2:], image), 0, 1)
        self._before = now, place, image, shown
        return shown
