"""Results larger than the networks: their flow and blending weights, applied to the photo and the garment at full size.

Conventions: a canvas is the networks' size (height, width) times one factor, so that both show the same; pictures are
float [H, W, 3] in [0, 1]. What the networks paint is enlarged, part by part of the final map, with outlines drawn anew;
what they copy, from the photo at its place, from the photo along a flow (the head, and the garment that the user keeps)
or from the donor's picture along the flow, regains the detail that shrinking took.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.compositing import backdrops, drawn_hands, normalisation
from vton_jax.core import batching, framing, geometry, programs, segmentation
from vton_jax.core.framing import to_float
from vton_jax.core.types import Dressed, Garment, Result

_HAIR, _LIMBS = segmentation.ID["hair"], segmentation.ARMS + segmentation.LEGS


@dataclasses.dataclass(frozen=True)
class Outlines:
    """How outlines are drawn anew; by eye on catalogue photos of the development data, which are scored too.

    Lengths are pixels of the map: what networks paint is soft over a pixel or two at any size.
    """

    sharp: float = 4.0  # exponent, times the factor: outlines are a large pixel or two wide
    frayed: float = 2.5  # exponent of hair
    begin: float = 0.5  # from an outline: where a part's colours begin to be its own
    end: float = 4.5  # where they are
    end_of_limbs: float = 2.0  # which are a few pixels wide, and shaded across: else they come out flat
    smooth: float = 1.2  # sigma that makes outlines smooth
    soft: float = 0.5 / 256  # of the height: sigma of outlines that are not enlarged, about a pixel wide
    core: int = 2  # within what stays when smoothed: farther off a part would be lost, as a strap
    margin: int = 6  # around a part: what its smooth outline may reach
    # By how much a flow leaps from pixel to pixel, where its picture's detail begins to be left out, and is: what lies
    # between the two places would show as a crack, as the ground between legs in a leg.
    leap: tuple[float, float] = (3.0, 5.0)


CHOSEN = Outlines()


def canvas_for(
    network: tuple[int, int], output: tuple[int, int] | None, photo: tuple[int, int], fraction: float = 1.0
) -> tuple[int, int]:
    """The canvas for an output size, the largest within it; for None, one that holds the photo pixel by pixel.

    fraction: of the canvas that the output shows (`framing.fit`).
    """
    pick, size = (min, output) if output else (max, photo)
    factor = max(1.0, pick(size[0] / network[0], size[1] / network[1]) / fraction)
    return round(network[0] * factor), round(network[1] * factor)


def dress_picture(garment: Garment, picture: np.ndarray) -> np.ndarray:
    """The garment's picture uint8 [H, W, 3] on the canvas, float [H, W, 3]; around it its own colours go on.

    So its outline, which the flow meets to a pixel or two, brings no white into the result.
    """
    kind = segmentation.GARMENT_TYPES[int(garment.garment_type)]
    mask = segmentation.region(np.asarray(garment.layout.segmentation), segmentation.GARMENT_LABELS[kind])
    mask = framing.resize(mask.astype(np.float32), picture.shape[:2])
    factor = picture.shape[0] / garment.layout.segmentation.shape[0]
    inner = cv2.erode((mask > 0.5).astype(np.float32), np.ones((2 * round(factor) + 1,) * 2, np.uint8))
    known = inner if inner.any() else mask
    return backdrops.fill(to_float(picture), known)


def grow(maps: np.ndarray, parts: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarges float maps [h, w, C] bilinearly to [H, W, C], each part [h, w] of ATR's labels on its own.

    Pixels near an outline show a little of both sides: there a part goes on from its inside. Not so the background,
    over which people are laid with hard edges. Outlines are smooth, and a pixel or two wide, but for hair, which frays.
    """
    steps = np.array(parts.shape) / size
    places = {int(part): _Box(int(part), parts, steps, size) for part in np.unique(parts)}
    scores = {part: box.score() for part, box in places.items()}
    best = np.zeros(size, np.float32)
    sharpness = np.full(size, CHOSEN.sharp / steps[0], np.float32)
    for part, box in places.items():
        best[box.large] = np.maximum(best[box.large], scores[part])
        if part == _HAIR:
            sharpness[box.large] += (CHOSEN.frayed - sharpness[box.large]) * np.minimum(1, 4 * scores[part])
    out, total = np.zeros((*size, maps.shape[-1]), np.float32), np.zeros(size, np.float32)
    for part, box in places.items():
        weight = (scores[part] / best[box.large]) ** sharpness[box.large]
        total[box.large] += weight
        for channels, picture in box.enlarged(maps):
            out[box.large][..., channels] += picture * weight[..., None]
    out /= total[..., None]
    return out


class _Box:
    """Where a part of a map [h, w] lies, and its surroundings, in the map and in the enlarged one.

    Args: steps: pixels of the map in one of the enlarged map's, (rows, columns). size: (H, W).
    """

    def __init__(self, part: int, parts: np.ndarray, steps: np.ndarray, size: tuple[int, int]):
        mask = parts == part
        rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        begin = np.maximum(0, np.array([rows[0], columns[0]]) - CHOSEN.margin)
        end = np.minimum(mask.shape, np.array([rows[-1], columns[-1]]) + 1 + CHOSEN.margin)
        first, last = np.floor(begin / steps).astype(int), np.minimum(size, np.ceil(end / steps)).astype(int)
        self.small, self.large = (tuple(map(slice, *ends)) for ends in ((begin, end), (first, last)))
        shift = (first + 0.5) * steps - 0.5 - begin
        self._matrix = np.float32([[steps[1], 0, shift[1]], [0, steps[0], shift[0]]])
        self._shape, self._mask = tuple(int(n) for n in last - first), mask.astype(np.float32)
        self._end = CHOSEN.end_of_limbs if part in _LIMBS else CHOSEN.end
        self._hard = part == 0

    def _warp(self, picture: np.ndarray) -> np.ndarray:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(
            picture, self._matrix, self._shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE
        ).reshape(*self._shape, -1)

    def score(self) -> np.ndarray:
        """The part's smoothed fraction of each pixel of `large`; where smoothing would lose it (a strap), as it is."""
        smooth = cv2.GaussianBlur(self._mask, (0, 0), CHOSEN.smooth)
        core = cv2.dilate(self._mask * (smooth > 0.5), np.ones((2 * CHOSEN.core + 1,) * 2, np.uint8))
        lost = self._mask * (1 - core)
        return np.maximum(*(self._warp(one[self.small])[..., 0] for one in (smooth, lost)))

    def enlarged(self, maps: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Maps [h, w, C] in `large`, as the part's inside goes on, a few channels at a time: which, and [H, W, 4]."""
        known = self._mask[self.small]
        if not self._hard:
            inside = cv2.distanceTransform(known.astype(np.uint8), cv2.DIST_L2, 5)
            known = np.clip((inside - CHOSEN.begin) / (self._end - CHOSEN.begin), 0, 1) ** 2
        for first in range(0, maps.shape[-1], 4):  # OpenCV takes four at most
            channels = slice(first, min(first + 4, maps.shape[-1]))
            here = np.ascontiguousarray(maps[self.small][..., channels])
            yield channels, self._warp(backdrops.fill(here, known).reshape(here.shape))


def _moved(result: Dressed, photo: jax.Array, dresses: tuple) -> list[tuple]:
    """(picture, its flow, its weight) of what is copied along a flow: the photo, and every garment."""
    worn = ((result.flow, result.garment_weight), *result.besides)
    dresses = [(dress, *of) for dress, of in zip(dresses, worn, strict=True)]
    return [(photo, result.photo_flow, result.moved_weight), *dresses]


def _whole(flow: jax.Array, weight: jax.Array) -> jax.Array:
    """How surely what a flow [h, w, 2] copies has no leap within it or beside it, [h, w]. Args: weight: of the copy."""
    used = weight > 0.5
    leap = jnp.zeros(used.shape)
    for axis in (0, 1):
        far = jnp.where(
            jnp.minimum(*_pairs(used, axis)), jnp.linalg.norm(jnp.subtract(*_pairs(flow, axis)), axis=-1), 0
        )
        before, after = (jnp.pad(far, [pad if one == axis else (0, 0) for one in (0, 1)]) for pad in ((1, 0), (0, 1)))
        leap = jnp.maximum(leap, jnp.maximum(before, after))
    leap = jax.lax.reduce_window(leap, 0.0, jax.lax.max, (3, 3), (1, 1), "SAME")
    begin, end = CHOSEN.leap
    return jnp.clip((end - leap) / (end - begin), 0, 1)


def _pairs(array: jax.Array, axis: int) -> tuple[jax.Array, jax.Array]:
    """Each entry but the last along an axis, and its neighbour."""
    count = array.shape[axis]
    return tuple(jax.lax.slice_in_dim(array, first, count - 1 + first, axis=axis) for first in (0, 1))


@programs.compiled()
def _copies(result, photo, dresses):
    """What is copied, [h, w, 4 * n]: n pictures, the photo and the rest along their flows, and the weights of these."""
    moved = _moved(result, photo, dresses)
    weights = jnp.stack([result.photo_weight, *(weight * _whole(flow, weight) for _, flow, weight in moved)], -1)
    return jnp.concatenate([photo, *(geometry.warp(picture, flow) for picture, flow, _ in moved), weights], -1)


@programs.compiled()
def _with_details(maps, result, photo, dresses):
    large = lambda flow: geometry.resize_flow(flow, photo.shape[:2])  # noqa: E731
    out = maps[..., :3]
    fine = [photo, *(geometry.warp(picture, large(flow)) for picture, flow, _ in _moved(result, photo, dresses))]
    for index, picture in enumerate(fine):
        weight = maps[..., 3 + 3 * len(fine) + index, None]
        out += weight * (picture - maps[..., 3 * index + 3 : 3 * index + 6])
    return out.clip(0, 1)


def enlarge(
    image: np.ndarray,
    result: Dressed,
    photo: tuple[np.ndarray, np.ndarray],
    dresses: Sequence[tuple[np.ndarray, np.ndarray]],
) -> np.ndarray:
    """One frame at the canvas's size.

    Args: image: [h, w, 3], the result, perhaps filtered over time. result: where its pixels come from. photo, dresses:
    each a pair, at the networks' size and at the canvas's; dresses as the result has them.
    """
    hands, result = result.hands, result.replace(hands=())  # which no program knows
    small, large = (tuple(dress[index] for dress in dresses) for index in range(2))
    maps = np.concatenate([image, _copies(result, photo[0], small)], -1)
    maps = grow(maps, np.asarray(result.labels), photo[1].shape[:2])
    out = np.asarray(_with_details(maps, result, photo[1], large))
    return drawn_hands.detailed(out, hands, image.shape[:2])


def softened(result: Dressed, frame: np.ndarray | None = None) -> np.ndarray:
    """A result of the networks' size, float [h, w, 3], with outlines as soft as a photo's.

    People are laid over their background with hard edges, which `enlarge` draws anew; what shows the photo itself is as
    it is. Args: result: one frame's, without a leading axis. frame: its picture, where that was filtered over time.
    """
    frame = np.asarray(result.image if frame is None else frame, np.float32)
    inside, shown = np.asarray(result.labels) > 0, np.asarray(result.photo_weight)
    if not inside.any() or inside.all():
        return frame
    part = cv2.GaussianBlur(np.float32(inside), (0, 0), CHOSEN.soft * len(inside))
    within, beyond = (segmentation.fill_from_nearest(frame, side) for side in (~inside, inside))
    soft = beyond + (within - beyond) * part[..., None]
    return frame + (soft - frame) * (1 - shown)[..., None]


class Views:
    """A photo and garments' pictures, uint8, normalised at the networks' size and at the canvas's.

    Args: network: the networks' size. size: of the fitted photo, as which results are shown; a multiple of `network`.
    Attributes: `person` and `garments`, uint8 [H, W, 3] of the networks' size.
    """

    def __init__(
        self,
        where: normalisation.Framing,
        photo: np.ndarray,
        garments: Sequence[np.ndarray],
        network: tuple[int, int],
        size: tuple[int, int],
    ):
        self.normalisation, self.photo, self.size = where.person, photo, size
        # What is shrunk to be read is put back enlarged: then it is worth a canvas of its own.
        canvas = canvas_for(network, size, size, min(where.person.scale, 1.0))
        self._canvas = where.person.bring(photo, canvas)
        self._dresses = [where.garment(index).place.bring(one, canvas) for index, one in enumerate(garments)]
        # The networks see the shrunk canvas itself, so that both show the same to a fraction of a pixel.
        self.person, *self.garments = (framing.resize(one, network) for one in (self._canvas, *self._dresses))

    def _photo(self, photo: np.ndarray, place: normalisation.Normalisation) -> tuple[np.ndarray, ...]:
        """A photo at the networks' size, on the canvas, and fitted."""
        canvas = place.bring(photo, self._canvas.shape[:2])
        fitted = framing.fit(photo, canvas.shape[:2])[0]
        return tuple(map(to_float, (framing.resize(canvas, self.person.shape[:2]), canvas, fitted)))

    def show(
        self,
        frames: Iterable[tuple[np.ndarray, Result]],
        garments: Sequence[Garment],
        photos: Iterable[tuple[np.ndarray, normalisation.Normalisation]] | None = None,
        *,
        threads: int = 1,
    ) -> Iterator[np.ndarray]:
        """Frames [h, w, 3] of the networks' size -> the same at `size`, put back into the photo: float [H, W, 3].

        Args: frames: pictures of the results, perhaps filtered over time, and these. garments: read from
        `self.garments`, in their order. photos: of somebody who moves the photo of every frame, as large as the one
        that is known, and how it is normalised. threads: that are at work; each but one asks for a frame more.
        """
        canvas = self._canvas.shape[:2]
        if photos is None:
            own = itertools.repeat((self._photo(self.photo, self.normalisation), self.normalisation))
        else:
            own = ((self._photo(photo, place), place) for photo, place in photos)
        large = [dress_picture(garment, dress) for garment, dress in zip(garments, self._dresses, strict=True)]
        dresses = [(framing.resize(dress, self.person.shape[:2]), dress) for dress in large]

        def shown(given) -> np.ndarray:
            (frame, result), ((small, whole, fitted), place) = given
            if canvas != self.person.shape[:2]:
                frame = enlarge(frame, result.dressed, (small, whole), dresses)
            else:
                frame = softened(result.dressed, frame)
            if place != normalisation.Normalisation():
                frame = framing.resize(place.put_back(frame, fitted), self.size)
            return frame

        each = map if threads == 1 else functools.partial(batching.side_by_side, threads=threads)
        yield from each(shown, zip(frames, own, strict=photos is not None))
