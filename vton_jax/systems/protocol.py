"""What a try-on system is: a contract that commands, pages and suites rely on."""

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from vton_jax.compositing.normalisation import Stand
from vton_jax.core.types import Garment, Layout, Pose, Result, User


@runtime_checkable
class PeopleReader(Protocol):
    """What brings people to the size that a system knows (`compositing.normalisation`) asks of its reader.

    Frames are uint8 [T, H, W, 3] of `size`; layouts and latents have the same leading axis.
    """

    size: tuple[int, int]

    def read_layouts(self, frames: np.ndarray) -> tuple[Layout, np.ndarray]:
        """Layouts as sharp as the reader can, and latents."""

    def read_people(self, frames: np.ndarray) -> tuple[Layout, np.ndarray]:
        """Layouts of whole bodies, guessed where the frame cuts them, and latents."""

    def stand_of(self, picture: np.ndarray) -> Stand | None:
        """Where somebody stands in a picture [H, W, 3] of any size; None where nobody does."""

    def looks_flat(self, frame: np.ndarray) -> bool:
        """Whether a picture [H, W, 3] of any size shows a garment alone rather than a person."""


@runtime_checkable
class TryOnSystem(Protocol):
    """Photo + garments + poses -> results. Pictures are uint8 [H, W, 3] of `size`, (height, width); RGB alone enters.

    Errors are facts of `core.errors` (`NoPersonFound`, `NoGarmentFound`, `EmptyPicture`, `SeveralGarments`,
    `GarmentsExclude`). A system whose attribute `tucks` is true looks at `Garment.tuck`.
    """

    size: tuple[int, int]
    reader: PeopleReader

    def read_user(self, frame: np.ndarray, shown: np.ndarray | None = None) -> User:
        """The person to dress. `shown`, bool [H, W], marks what of the frame is the photo's own; by default all."""

    def read_garment(
        self,
        frame: np.ndarray,
        garment_type: str | None = None,
        flat: bool | None = None,
        mask: np.ndarray | None = None,
    ) -> Garment:
        """A garment, laid flat or worn. `garment_type` of `segmentation.GARMENT_TYPES`, `flat`; None: look.

        `mask`, bool [H, W], is what the picture's own alpha channel shows; it is given only where there is one.
        """

    def read_poses(self, frames: np.ndarray) -> Pose:
        """The poses of frames [T, H, W, 3]; `usable` says which of them show somebody.

        A system whose attribute `moving` is true also takes `thorough=False`: a single frame is one of a clip, and read
        as fast as one.
        """

    def dress(self, user: User | Iterator[User], garments: Sequence[Garment], poses: Pose) -> Iterator[Result]:
        """A result for every pose [T]: the user in the garments, worn together; without one, in their own clothes.

        A system whose attribute `moving` is true takes as `user` also an iterator: of every pose the user as the photo
        shows them whose pose it is. It may have `dress_live(garments, frames: Iterator[tuple[User, Pose]])`, which
        gives a result for every user and pose [1] as soon as it has taken them. And it may have `rehearse()`, called
        before pictures are read, which gets programs ready meanwhile in threads, which it returns.
        """
