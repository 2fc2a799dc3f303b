"""What a system is that fills in garments: its own contract, beside `systems.protocol.TryOnSystem`."""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from vton_jax.core.types import Layout


@dataclasses.dataclass(frozen=True)
class Person:
    """Somebody in a photo, and in the networks' frame, which they fill."""

    photo: np.ndarray  # uint8 [H, W, 3], of any size
    classes: np.ndarray  # uint8 [H, W], of `layout.inpainting.CLASSES`
    box: tuple[int, int, int, int]  # (left, top, right, bottom), what of the photo the frame shows, beyond it too
    frame: np.ndarray  # float [h, w, 3] in [0, 1]
    layout: Layout  # of the frame


@dataclasses.dataclass(frozen=True)
class Samples:
    """N fillings of a region."""

    images: np.ndarray  # uint8 [N, H, W, 3], the photo with the region filled in
    frames: np.ndarray  # float [N, h, w, 3], the same in the networks' frame, before what is kept is put back
    classes: np.ndarray  # uint8 [N, h, w], of `layout.inpainting.CLASSES`
    mask: np.ndarray  # bool [h, w], the region


Progress = Callable[[int], None]  # how many fillings are done


class Inpainter(Protocol):
    """Photo + region -> diverse fillings. Deterministic by the key. Errors are `core.errors.UserError`."""

    size: tuple[int, int]

    def read(self, photo: np.ndarray) -> Person:
        """The largest person in a photo, uint8 [H, W, 3] of any size."""

    def read_garment(self, picture: np.ndarray, region: str) -> Any:
        """A garment of a region's kind, worn or laid flat, for `inpaint`."""

    def inpaint(
        self,
        person: Person,
        region: str,
        key: Any,
        *,
        num_samples: int = 1,
        vary: str = "both",
        garment: Any = None,
        compatibility: bool = True,
        progress: Progress = lambda done: None,
    ) -> Samples:
        """Fillings of a region, `hat`, `top`, `bottom` or `shoes`.

        Args:
          person: from `read`.
          region: what is taken away and filled in.
          key: of what is sampled.
          num_samples: how many.
          vary: `both`, `shape`, `appearance` or `none`: what is sampled; the rest is that of `garment` or, without
            one, of what the person wears there.
          garment: from `read_garment`.
          compatibility: whether samples go with what else is worn, or are of anything.
          progress: called between fillings; what it raises ends the work.
        """
