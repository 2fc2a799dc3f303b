"""How systems read: those that see by `reader.Reader` alone derive from `ReadsPictures`."""

import numpy as np

from vton_jax.core.types import Garment, Pose, User
from vton_jax.systems.reader import Reader


class ReadsPictures:
    """The reading half of a `TryOnSystem`, as a reader has it.

    Args: reader: it also says the system's size.
    """

    def __init__(self, reader: Reader):
        self.reader = reader
        self.size: tuple[int, int] = reader.size

    def read_user(self, frame: np.ndarray, shown: np.ndarray | None = None) -> User:
        """See `TryOnSystem`."""
        return self.reader.read_user(frame, shown)

    def read_garment(
        self,
        frame: np.ndarray,
        garment_type: str | None = None,
        flat: bool | None = None,
        mask: np.ndarray | None = None,
    ) -> Garment:
        """See `TryOnSystem`."""
        return self.reader.read_garment(frame, garment_type, flat, mask)

    def read_poses(self, frames: np.ndarray, thorough: bool | None = None) -> Pose:
        """See `TryOnSystem`."""
        known = {} if thorough is None else {"thorough": thorough}  # a reader need not know of it
        return self.reader.read_poses(frames, **known)
