"""Where in a picture somebody or something is: all else is cut off before the picture is read.

Conventions: a box is left, top, right, bottom in parts of the picture's width and height, so that a picture that is
shrunk keeps its box: `0.5,0,1,1` is the right half.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Box:
    """See the module's conventions."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def text(self) -> str:
        """As `parse` reads it."""
        return ",".join(f"{side:g}" for side in dataclasses.astuple(self))

    def pixels(self, size: tuple[int, ...]) -> tuple[slice, slice]:
        """(rows, columns) of a picture [H, W, ...], whole pixels that the box touches by half at least."""
        height, width = size[:2]
        rows, columns = ((round(low * side), round(high * side)) for low, high, side in (
            (self.top, self.bottom, height), (self.left, self.right, width)))  # fmt: skip
        return slice(*rows), slice(*columns)


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of a picture, and the picture [H, W, ...]."""

    whole: np.ndarray
    box: Box

    @property
    def inner(self) -> np.ndarray:
        """What the box shows."""
        return np.ascontiguousarray(self.whole[self.box.pixels(self.whole.shape)])

    def put_back(self, inner: np.ndarray) -> np.ndarray:
        """The whole picture, uint8, with another part float [h, w, 3] in the box; float in [0, 1]."""
        found = self.whole.astype(np.float32) / 255
        found[self.box.pixels(found.shape)] = inner
        return found


def parse(text: str) -> Box | None:
    """`0.5,0,1,1` -> Box; an empty text is None, the whole picture. Raises: ValueError."""
    if not text.strip():
        return None
    said = (
        "a box is left,top,right,bottom in parts of the picture from 0 to 1, for example 0.5,0,1,1 for its right half"
    )
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(said) from None
    if len(numbers) != 4 or not all(0 <= number <= 1 for number in numbers):
        raise ValueError(said)
    box = Box(*numbers)
    if box.left >= box.right or box.top >= box.bottom:
        raise ValueError(f"{said}; left comes before right, and top before bottom")
    return box
