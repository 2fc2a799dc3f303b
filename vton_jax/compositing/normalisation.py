"""Where people stand in the networks' frame: as large and in the middle as the networks know them, cut off or not.

Conventions: photos and frames are uint8 [H, W, 3] of any size; `reader` is a `systems.protocol.PeopleReader`. A
normalisation is relative to `framing.fit`.

The networks have learned whole bodies of one size. So everybody is brought to the size that they know; a photo that
ends early gets room below, into which its lower edge goes on, as much as the joints say that lie there. What comes out
is put back where it was.
"""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from vton_jax.core import framing


@dataclasses.dataclass(frozen=True)
class Proportions:
    """Where people stand. Heights are fractions of the frame's, in the middle of the range of the capsule mannequins.

    By eye.
    """

    top: float = 0.06  # where people begin
    bottom: float = 0.93  # where they end
    largest: float = 3.0  # scale: whoever is smaller is too coarse to be read, and the whole picture grows with them
    looked_at: int = 8  # frames of a clip at most


CHOSEN = Proportions()


@dataclasses.dataclass(frozen=True)
class Normalisation:
    """Pictures `scale` times as large as `framing.fit` makes them, shifted by `shift` (x, y), fractions of a frame."""

    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)

    def _inner(self, size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """(size of the fitted picture, its (top, left) in the frame), whole pixels."""
        larger = tuple(max(1, round(side * self.scale)) for side in size)
        return larger, tuple(round(side * part) for side, part in zip(size, self.shift[::-1], strict=True))

    def shown(self, size: tuple[int, int]) -> np.ndarray:
        """Where in a frame of `size` the fitted picture lies, bool [H, W]; the rest is made up."""
        larger, offset = self._inner(size)
        rows, columns = (
            (np.arange(side) >= begin) & (np.arange(side) < begin + limit)
            for side, begin, limit in zip(size, offset, larger, strict=True)
        )
        return rows[:, None] & columns

    def bring(self, picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """The picture [H, W, 3], normalised, in a frame of `size`.

        Its edges go on, but for the upper one, above which lie its two corners' colours: hair would grow there.
        """
        larger, offset = self._inner(size)
        inside = [
            np.clip(np.arange(side) - begin, 0, limit - 1)
            for side, begin, limit in zip(size, offset, larger, strict=True)
        ]
        frame = framing.fit(picture, larger)[0][np.ix_(*inside)]
        if offset[0] > 0:
            left, right = frame[offset[0], [0, -1]].astype(np.float32)
            above = left + (right - left) * np.linspace(0, 1, size[1], dtype=np.float32)[:, None]
            frame[: offset[0]] = np.round(above).astype(frame.dtype)
        return frame

    def bring_mask(self, mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """What of a picture's mask, bool [H, W], is in the frame: bool of `size`. Beside the picture there is none."""
        fitted = framing.fit(mask.astype(np.uint8) * 255, size, fill=0)[0]
        return self.bring(np.repeat(fitted[..., None], 3, -1), size)[..., 0] >= 128

    def put_back(self, result: np.ndarray, fitted: np.ndarray) -> np.ndarray:
        """A result [h, w, 3] in the frame, laid over the fitted picture [h, w, 3] that `bring` had begun with.

        Where the frame does not reach, the picture stays as it was. Both are float.
        """
        blurred = cv2.GaussianBlur(result, (0, 0), 0.5 * self.scale) if self.scale > 1.25 else result
        moved = self.back(np.asarray(blurred, np.float32), cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
        reached = self.back(np.ones(result.shape[:2], np.float32), cv2.INTER_LINEAR)
        return fitted + (moved - fitted) * reached[..., None]

    def back(self, picture: np.ndarray, method: int, border: int = cv2.BORDER_CONSTANT) -> np.ndarray:
        """A picture [H, W] or [H, W, C] in the frame, seen where `framing.fit` has it; OpenCV's method and border."""
        size = picture.shape[:2]
        (height, width), (top, left) = self._inner(size)
        x, y = width / size[1], height / size[0]
        matrix = np.float32([[x, 0, (x - 1) / 2 + left], [0, y, (y - 1) / 2 + top]])
        return cv2.warpAffine(picture, matrix, size[::-1], flags=method | cv2.WARP_INVERSE_MAP, borderMode=border)


def some_of(count: int) -> np.ndarray:
    """The numbers of the frames that are looked at of `count`."""
    return np.unique(np.linspace(0, count - 1, min(CHOSEN.looked_at, count)).round().astype(int))


@dataclasses.dataclass(frozen=True)
class Stand:
    """Where somebody stands in a picture that `framing.fit` has brought to a frame; fractions of its height and width.

    `top` and `bottom` are the whole person's, above and below the picture where it cuts them.
    """

    top: float
    bottom: float
    middle: float
    cut: bool = False  # whether the picture ends above the feet
    others: int = 0  # people besides


def normalisation_of(reader, frames: list[np.ndarray]) -> tuple[Normalisation, Stand | None]:
    """How a photo's or a clip's person is normalised, and where they stand: the frames' median.

    One normalisation for a whole clip, from the median over some of its frames, so that people who walk still walk.
    Where nobody is found, frames stay as they are.
    """
    stands = [stand for index in some_of(len(frames)) if (stand := reader.stand_of(frames[index])) is not None]
    if not stands:
        return Normalisation(), None
    names = [field.name for field in dataclasses.fields(Stand)]
    top, bottom, middle, cut, others = (float(np.median([getattr(stand, name) for stand in stands])) for name in names)
    return place_of(top, bottom, middle), Stand(top, bottom, middle, cut > 0.5, round(others))


def place_of(top: float, bottom: float, middle: float) -> Normalisation:
    """How somebody is normalised who stands there, see `Stand`."""
    scale = min((CHOSEN.bottom - CHOSEN.top) / (bottom - top), CHOSEN.largest)
    return Normalisation(scale, (0.5 - middle * scale, CHOSEN.top - top * scale))


@dataclasses.dataclass(frozen=True)
class Shown:
    """How a garment's picture is normalised."""

    place: Normalisation = Normalisation()
    flat: bool | None = None  # whether it is laid flat, and stays where it is; None: nobody has looked


@dataclasses.dataclass(frozen=True)
class Framing:
    """Where photo, garments and poses stand; by default as `framing.fit` has them."""

    person: Normalisation = Normalisation()
    garments: tuple[Shown, ...] = ()
    poses: Normalisation = Normalisation()
    cut: bool = False  # whether the photo ends above the person's feet
    others: int = 0  # people in the photo besides the one who is dressed

    def garment(self, index: int) -> Shown:
        """How the picture of garment `index` is normalised."""
        return self.garments[index] if index < len(self.garments) else Shown()


def find_framing(
    reader,
    photo: np.ndarray,
    garments: Sequence[tuple[np.ndarray, bool | None]],
    frames: list[np.ndarray],
) -> Framing:
    """How everybody is normalised: in the photo, in garments' pictures where they are worn, and in the pose frames.

    Args: garments: each a picture, and whether it shows the garment laid flat; None: look.
    """
    person, stand = normalisation_of(reader, [photo])
    cut, others = (stand.cut, stand.others) if stand else (False, 0)
    shown = []
    for picture, flat in garments:
        flat = reader.looks_flat(picture) if flat is None else flat
        shown.append(Shown(Normalisation() if flat else normalisation_of(reader, [picture])[0], flat))
    poses = normalisation_of(reader, frames)[0]
    return Framing(person, tuple(shown), poses, cut=cut, others=others)
