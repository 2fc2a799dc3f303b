"""What drives a picture: a contract of its own, beside `systems.protocol.TryOnSystem`.

Conventions: pictures and frames are uint8 RGB [H, W, 3], of any size each; a box is (left, top, side) in pixels, a
square that may reach beyond its picture.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np


@dataclasses.dataclass(frozen=True)
class Source:
    """Somebody in a photo, read once."""

    photo: np.ndarray  # uint8 [H, W, 3]
    box: tuple[int, int, int]
    region: str  # 'face' or 'body'
    encoded: Any  # what the network keeps of it


class Driver(Protocol):
    """Brings pictures to life."""

    def read(self, photo: np.ndarray) -> Source:
        """Whom a photo shows. Raises: NoPersonFound."""
        ...

    def drive(self, source: Source, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The source as each driving frame [H, W, 3] moves, uint8 [H, W, 3] of the photo's size.

        Raises: NoPersonFound where frames show nobody.
        """
        ...
