"""Where the person before a camera stands: found anew now and then, and followed smoothly in between.

Conventions: frames are uint8 [H, W, 3] of one size; a stand is (top, bottom, middle) of a whole person in pixels of the
frame's edges, beyond the frame where it cuts them; times are seconds of a steady clock.

Of a frame wider than the networks' a window as high as the frame is dressed, which goes along with the person: fitted
whole, a wide frame would lie small in the middle of theirs, and be enlarged for nothing.
"""

import dataclasses

import numpy as np

from vton_jax.compositing import normalisation
from vton_jax.core import framing
from vton_jax.systems.protocol import PeopleReader


@dataclasses.dataclass(frozen=True)
class Following:
    """By reasoning, on no clip. Lengths are in heights of the person, but for `away`."""

    again: float = 2.0  # seconds after which somebody who stands still is looked for again
    soon: float = 0.5  # seconds after which somebody who has moved away is
    away: float = 0.1  # of the networks' frame: who is read so far from where they should be has moved away
    small: float = 0.05  # changes up to here are how people breathe and turn
    large: float = 0.5  # from here on it is somebody else, or they have come near at once
    pace: float = 0.4  # seconds in which most of a change is made up for
    there: float = 0.005  # what is left of a change is made up for at once, so that people stand still again


CHOSEN = Following()
_LOOKED_AT = 384  # longer side of frames in which somebody is searched


@dataclasses.dataclass(frozen=True)
class Place:
    """What of a frame is dressed: a window [left, right) of its columns, and how that is normalised."""

    left: int
    right: int
    normalisation: normalisation.Normalisation

    def window(self, frame: np.ndarray) -> np.ndarray:
        return frame[:, self.left : self.right]


class Follower:
    """Follows the largest person of a camera's frames.

    Args: reader: who finds them. size: (height, width) of the frames.
    """

    def __init__(self, reader: PeopleReader, size: tuple[int, int]):
        self._reader, self._size = reader, size
        height, width = reader.size
        self.window = size[0], min(size[1], max(1, round(size[0] * width / height)))
        self._whole, self._part = (framing.fit(np.broadcast_to(np.uint8(0), shape), reader.size)[1]
                                   for shape in (size, self.window))  # fmt: skip
        self.lost()

    def lost(self) -> None:
        """Nobody is there: the next frame is searched, and whoever stands in it is taken as they are."""
        self._stand = self._goal = None  # where they are taken to stand, and where they were found
        self._moved_away, self._looked, self._time = False, -np.inf, -np.inf

    def place(self, frame: np.ndarray, now: float) -> Place | None:
        """What of a frame is dressed; None where nobody is found."""
        wait = CHOSEN.soon if self._moved_away else CHOSEN.again
        if self._goal is None or now - self._looked >= wait:
            self._look(frame, now)
        if self._goal is None:
            return None
        passed, self._time = now - self._time, now
        apart, height = np.abs(self._goal - self._stand).max(), self._goal[1] - self._goal[0]
        gliding = CHOSEN.there * height < apart < CHOSEN.large * height
        self._stand = self._goal + (np.exp(-passed / CHOSEN.pace) if gliding else 0.0) * (self._stand - self._goal)
        return self._place()

    def _look(self, frame: np.ndarray, now: float) -> None:
        """Searches the frame, for somebody who is known already their window alone: nobody else is taken for them."""
        left, place = (0, self._whole) if self._goal is None else (self._left(), self._part)
        part = frame[:, left : left + place.source_size[1]]
        factor = min(1.0, _LOOKED_AT / max(part.shape[:2]))
        found = self._reader.stand_of(framing.resize(part, tuple(round(factor * side) for side in part.shape[:2])))
        self._looked, self._moved_away = now, False
        if found is None:  # once overlooked is not lost: whoever reads the frame will say so
            return
        height, width = self._reader.size
        edges = np.array([[found.middle * width, found.top * height], [found.middle * width, found.bottom * height]])
        (middle, top), (_, bottom) = place.restore_points(edges - 0.5) + 0.5 + [left, 0]
        stand = np.array([top, bottom, middle])
        if self._goal is None:
            self._stand = self._goal = stand
        elif np.abs(stand - self._goal).max() > CHOSEN.small * (stand[1] - stand[0]):
            self._goal = stand

    def _left(self) -> int:
        """Where the window of the person begins."""
        width = self.window[1]
        return int(np.clip(round(self._stand[2] - width / 2), 0, self._size[1] - width))

    def _place(self) -> Place:
        top, bottom, middle = self._stand
        left = self._left()
        edges = np.array([[middle - left, top], [middle - left, bottom]])
        (x, top), (_, bottom) = (self._part.points(edges - 0.5) + 0.5) / np.array(self._reader.size[::-1])
        return Place(left, left + self.window[1], normalisation.place_of(float(top), float(bottom), float(x)))

    def read(self, labels: np.ndarray) -> None:
        """Tells what was read in the normalised frame, uint8 [h, w]: who is not in its middle is looked for soon."""
        rows, columns = (np.flatnonzero((labels > 0).any(axis)) for axis in (1, 0))
        if not len(rows):
            self._moved_away = True
            return
        height, width = labels.shape
        aside = abs((columns[0] + columns[-1] + 1) / 2 / width - 0.5)
        above = abs(rows[0] / height - normalisation.CHOSEN.top)
        self._moved_away = bool(max(aside, above) > CHOSEN.away)
