"""Where people stand in the networks' frame: as large and in the middle as the networks know them, cut off or not.

Conventions: photos and frames are uint8 [H, W, 3] of any size; `reader` is a `systems.protocol.PeopleReader`. A
normalisation is relative to `framing.fit`.

The networks have learned whole bodies of one size. They read joints of somebody a tenth larger twice as badly, and
squeeze a whole body into a photo that ends at the hips, with knees where the hips are. So everybody is brought to the
size that they know; a photo that ends early gets room below, into which its lower edge goes on, and is read as somebody
whose legs are there. What comes out is put back where it was.
"""

import dataclasses

import cv2
import numpy as np

from vton_jax.core import framing


@dataclasses.dataclass(frozen=True)
class Proportions:
    """Where people stand. Heights are fractions of the frame's, in the middle of the range of the mannequins.

    `fractions`, `usual` and `unusual` were chosen on twelve mannequins cut at the hips (their joints then lie within 10
    pixels) and on the twelve persons of the development data, which are scored too; the rest by eye.
    """

    top: float = 0.06  # where people begin
    bottom: float = 0.93  # where they end
    largest: float = 3.0  # scale: whoever is smaller is too coarse to be read, and the whole picture grows with them
    lowest: float = 3 / 256  # rows that say whether a person goes on below
    cut: float = 0.1  # of these: where the person covers more, it goes on below
    fractions: tuple[float, ...] = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)  # of a body that a photo may show, all tried
    usual: float = 0.7  # the fraction that decides where labels do not: an endless dress agrees with none
    unusual: float = 0.5  # how much worse others are, by their squared logarithm
    least: float = 0.02  # of the frame that somebody covers: less is nobody
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


def normalisation_of(reader, frames: list[np.ndarray]) -> tuple[Normalisation, bool]:
    """How a photo's or a clip's person is normalised, and whether the frames cut their legs off.

    One normalisation for a whole clip, from the median over some of its frames, so that people who walk still walk.
    Where nobody is found, frames stay as they are.
    """
    fitted = np.stack([framing.fit(frames[index], reader.size)[0] for index in some_of(len(frames))])
    labels = reader.read_layouts(fitted)[0].segmentation
    boxes = np.array([box for box in map(_extent, labels) if box is not None])
    if not len(boxes):
        return Normalisation(), False
    top, bottom, middle = np.median(boxes, 0)
    if np.median((labels[:, -framing.pixels(CHOSEN.lowest, labels.shape[1]) :] > 0).mean((1, 2))) <= CHOSEN.cut:
        return _normalised(top, middle, min((CHOSEN.bottom - CHOSEN.top) / (bottom - top), CHOSEN.largest)), False
    # Best is where MultiPathCNN's layout, always a whole body's, agrees most with what ParserCNN sees in the frames.
    tried = [_normalised(top, middle, fraction * (1 - CHOSEN.top) / (1 - top)) for fraction in CHOSEN.fractions]
    agreement = np.array([_agreement(reader, one, fitted, labels) for one in tried])
    return tried[
        int(np.argmax(agreement - CHOSEN.unusual * np.log(np.array(CHOSEN.fractions) / CHOSEN.usual) ** 2))
    ], True


@dataclasses.dataclass(frozen=True)
class Framing:
    """Where photo, garment and poses stand; by default as `framing.fit` has them."""

    person: Normalisation = Normalisation()
    garment: Normalisation = Normalisation()
    poses: Normalisation = Normalisation()
    cut: bool = False  # whether the photo ends above the person's feet
    flat: bool | None = None  # whether the garment is laid flat, and stays where it is; None: nobody has looked


def find_framing(
    reader, photo: np.ndarray, garment: np.ndarray, flat: bool | None, frames: list[np.ndarray]
) -> Framing:
    """How everybody is normalised: in the photo, in the garment's picture where it is worn, and in the pose frames."""
    if flat is None:
        flat = reader.looks_flat(framing.fit(garment, reader.size)[0])
    person, cut = normalisation_of(reader, [photo])
    worn = Normalisation() if flat else normalisation_of(reader, [garment])[0]
    return Framing(person, worn, normalisation_of(reader, frames)[0], cut, flat)


def _extent(labels: np.ndarray) -> tuple[float, float, float] | None:
    """(top, bottom, middle) of the largest connected person in a label map, as fractions of its height and width."""
    person = (labels > 0).astype(np.uint8)
    count, _, statistics, _ = cv2.connectedComponentsWithStats(person)
    if count == 1:
        return None
    left, top, width, height, area = statistics[1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax())]
    if area < CHOSEN.least * person.size:
        return None
    return top / len(person), (top + height) / len(person), (left + width / 2) / person.shape[1]


def _normalised(top: float, middle: float, scale: float) -> Normalisation:
    return Normalisation(float(scale), (float(0.5 - middle * scale), float(CHOSEN.top - top * scale)))


def _agreement(reader, normalisation: Normalisation, fitted: np.ndarray, seen: np.ndarray) -> float:
    """How well MultiPathCNN reads the normalised frames: overlap of outline and of labels with what ParserCNN saw."""
    read = reader.read_people(np.stack([normalisation.bring(frame, reader.size) for frame in fitted]))[0].segmentation
    found = []
    for labels, truth in zip(read, seen, strict=True):
        labels = normalisation.back(labels, cv2.INTER_NEAREST)
        either = max(((labels > 0) | (truth > 0)).sum(), 1)
        found.append((((labels > 0) & (truth > 0)).sum() + ((labels == truth) & (truth > 0)).sum()) / either)
    return float(np.mean(found))
