"""The background behind the person in a photo, made up where it was never seen.

A person who is dressed anew leaves a rim, and one who moves leaves a hole of their own shape. It is filled with what
the photo shows elsewhere: every pixel of the hole is another pixel of the photo, shifted (Pritch et al., "Shift-Map
Image Editing", ICCV 2009; patches that agree with their surroundings at several scales: Wexler et al., "Space-Time
Completion of Video", PAMI 2007; few shifts: He and Sun, "Statistics of Patch Offsets for Image Completion", ECCV 2012).
No network: what lies behind somebody is mostly the street, the wall or the floor that goes on beside them.

Conventions: pictures are float NumPy arrays [H, W, 3] in [0, 1]; shifts (rows, columns) lead from a pixel of the hole
to the one that it copies.
"""

import dataclasses
import itertools

import cv2
import numpy as np
from scipy import ndimage

from vton_jax.core import framing
from vton_jax.core.types import Backdrop

_NOTHING = 1e-20  # a weight that is none
_BESIDE = 1e6  # cost of a shift that leads to no known pixel
_SMALLEST = 64  # rows: as high as the coarsest scale is, or up to twice
_AROUND = np.array([*itertools.product((-1, 0, 1), repeat=2)])


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """What was chosen on the photos of Clothing Co-Parsing whose number ends in 1: `benchmarks/backdrops.py`.

    Lengths are pixels of each scale where nothing else is said.
    """

    # Of the frame's height, around the person: not trusted to be background. 1.1% of people lie farther from what was
    # read as them, 1.7% farther than half of it (by the way, on the same photos' own labels).
    halo: float = 4 / 256
    soft: float = 1.2 / 256  # of the frame's height: sigma of the hole's edge
    rows: float = 0.06  # of the height: as far as a shift leads up or down, where the ground lies nearer or farther
    patch: int = 5  # side of what is compared
    sharp: int = 3  # side of the patches whose colours are averaged last
    passes: tuple[int, int, int] = (5, 2, 1)  # of the coarsest scale, those between, the finest
    kept: int = 64  # shifts that the next pass tries, the most frequent
    refined: int = 24  # of these, those that the next finer scale begins with
    fading: float = 0.7  # what a pixel of the hole counts in a patch, for each pixel that it lies from the rim
    least: float = 0.05  # what it counts at least
    wrong: float = 0.75  # squared difference of a pixel that a patch lacks
    ring: int = 2  # around the hole: where colours are made to meet


CHOSEN = Thresholds()


def backdrop(photo: np.ndarray, labels: np.ndarray, shown: np.ndarray | None = None, *, moving=False) -> Backdrop:
    """The photo without its person.

    Args: labels: the person's, uint8 [H, W]. shown: bool [H, W], what is the photo's own, by default all. moving: the
    photo is a frame of a clip: its hole is filled smoothly, which is fast and does not flicker.
    """
    reach = framing.pixels(CHOSEN.halo, len(photo))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)
    hole = cv2.dilate((labels > 0).astype(np.uint8), disk) > 0
    photo, flow, copied = photo.astype(np.float32), np.zeros((*hole.shape, 2), np.float32), np.zeros(hole.shape, bool)
    shifts = None if moving else find_shifts(photo, hole, shown)
    if shifts is None:
        filled = fill(photo, 1 - hole.astype(np.float32))
    else:
        filled = fill_by_shifts(photo, hole, shifts, shown)
        flow, copied = flow_of(shifts, hole, shown)
    soft = np.maximum(hole, cv2.GaussianBlur(hole.astype(np.float32), (0, 0), CHOSEN.soft * len(hole)))
    return Backdrop(photo + (filled - photo) * soft[..., None], soft, flow, copied.astype(np.float32))


def flow_of(shifts: np.ndarray, hole: np.ndarray, shown: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The flow float32 [H, W, 2], (x, y), of shifts, and where it may be interpolated, bool [H, W]: next to another
    shift, or to none, it would lead anywhere. Arguments as in `fill_by_shifts`.
    """
    flow = np.float32(shifts[..., ::-1])
    around = np.ones((2 * CHOSEN.ring + 1,) * 2, np.uint8)
    alike = (cv2.dilate(flow, around) == cv2.erode(flow, around)).all(-1)
    known = ~hole if shown is None else shown & ~hole
    return flow, hole & alike & _at(known, *(np.indices(hole.shape) + np.moveaxis(shifts, -1, 0)))


def fill(image: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Where `known` [H, W] is 0 the mean of what is known nearby, the nearest scale first; no holes stay."""
    height, width = image.shape[:2]
    if min(height, width) < 2:
        mean = (image * known[..., None]).sum((0, 1)) / np.maximum(known.sum(), _NOTHING)
        return image * known[..., None] + (1 - known[..., None]) * mean
    half = (width // 2, height // 2)
    weight = cv2.resize(known, half, interpolation=cv2.INTER_AREA)
    mean = cv2.resize(image * known[..., None], half, interpolation=cv2.INTER_AREA).reshape(*half[::-1], -1)
    coarse = fill(mean / np.maximum(weight, _NOTHING)[..., None], np.minimum(weight * 4, 1))
    coarse = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).reshape(image.shape)
    return image * known[..., None] + coarse * (1 - known[..., None])


def find_shifts(
    photo: np.ndarray, hole: np.ndarray, shown: np.ndarray | None = None, rows: float = CHOSEN.rows
) -> np.ndarray | None:
    """What fills a hole, bool [H, W]: shifts int [H, W, 2], zeros outside; None where there is no hole, or nothing
    beside it. Arguments as in `backdrop`; rows: of the height, as far as they lead up or down.
    """
    known = (~hole if shown is None else shown & ~hole).astype(np.float32)
    scales = [(photo.astype(np.float32), hole, known)]
    while len(scales[-1][0]) >= 2 * _SMALLEST:
        scales.append(_half(*scales[-1]))
    if not hole.any() or not scales[-1][2].any():
        return None
    coarsest, between, finest = CHOSEN.passes
    passes = [coarsest, *[between] * (len(scales) - 2), finest][: len(scales)]
    picture, shifts, candidates = fill(scales[-1][0], scales[-1][2]), None, _all_shifts(scales[-1][1].shape, rows)
    for (given, hole, known), count in zip(reversed(scales), passes, strict=True):
        places = np.nonzero(hole)
        picture = np.where(hole[..., None], cv2.resize(picture, hole.shape[::-1]), given)
        if shifts is not None:
            doubled = 2 * shifts.repeat(2, 0).repeat(2, 1)[: hole.shape[0], : hole.shape[1]]
            picture[places] = _averaged(picture, hole, known, doubled, CHOSEN.sharp)
        for _ in range(count):
            shifts = _best(picture, hole, known, candidates)
            picture[places] = _averaged(picture, hole, known, shifts, CHOSEN.patch)
            candidates = _frequent(shifts[places])
        candidates = np.unique((2 * candidates[: CHOSEN.refined, None] + _AROUND).reshape(-1, 2), axis=0)
    return shifts


def fill_by_shifts(
    photo: np.ndarray, hole: np.ndarray, shifts: np.ndarray, shown: np.ndarray | None = None
) -> np.ndarray:
    """The photo with every pixel of the hole copied along its shift, in colours that meet those around the hole.

    What no shift leads to is filled smoothly. Arguments as in `find_shifts`, which finds them.
    """
    known = (~hole if shown is None else shown & ~hole).astype(np.float32)
    filled = np.where(hole[..., None], fill(photo.astype(np.float32), known), photo)
    filled[np.nonzero(hole)] = _averaged(filled, hole, known, shifts, CHOSEN.sharp)
    # Around the hole, what the nearest pixel's shift would have copied there: how far off it is, is off inside too.
    distance, nearest = ndimage.distance_transform_edt(~hole, return_indices=True)
    ys, xs = np.nonzero((distance > 0) & (distance <= CHOSEN.ring) & (known > 0))
    rows, columns = np.stack([ys, xs]) + shifts[tuple(nearest[:, ys, xs])].T
    leads = _at(known, rows, columns) > 0
    ys, xs, rows, columns = (of[leads] for of in (ys, xs, rows, columns))
    off, there = np.zeros_like(filled), np.zeros(hole.shape, np.float32)
    off[ys, xs], there[ys, xs] = filled[ys, xs] - filled[rows, columns], 1
    return np.clip(filled + fill(off, there) * hole[..., None], 0, 1)


def _half(picture: np.ndarray, hole: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, ...]:
    """The next coarser scale: all that touches the hole belongs to it, and what is known is known whole."""
    size = tuple((side + 1) // 2 for side in hole.shape[::-1])
    small = lambda a: cv2.resize(a, size, interpolation=cv2.INTER_AREA)  # noqa: E731
    weight, hole = small(known), small(hole.astype(np.float32)) > 0
    picture = small(picture * known[..., None]) / np.maximum(weight, _NOTHING)[..., None]
    return picture, hole, ((weight > 0.99) & ~hole).astype(np.float32)


def _all_shifts(size: tuple[int, int], rows: float) -> np.ndarray:
    """Shifts [N, 2] along the rows as far as a picture is wide, and a fraction of its height up and down."""
    rows, columns = round(rows * size[0]), size[1] - 1
    found = itertools.product(range(-rows, rows + 1), range(-columns, columns + 1))
    return np.array([shift for shift in found if any(shift)])


def _frequent(shifts: np.ndarray) -> np.ndarray:
    """The most frequent of shifts [N, 2], in that order."""
    found, counts = np.unique(shifts, axis=0, return_counts=True)
    return found[np.argsort(-counts, kind="stable")[: CHOSEN.kept]]


def _best(picture: np.ndarray, hole: np.ndarray, known: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """For every pixel of the hole the shift whose patch resembles the one around it most: [H, W, 2], zeros outside.

    In a patch a pixel of the hole counts the less the farther it lies from what is known.
    """
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    weight = np.where(hole, np.maximum(CHOSEN.fading**depth, CHOSEN.least), known).astype(np.float32)
    reach = CHOSEN.patch // 2
    box = tuple(
        slice(max(0, places.min() - reach), min(side, places.max() + 1 + reach))
        for places, side in zip(np.nonzero(hole), hole.shape, strict=True)
    )
    here, weight = picture[box], weight[box]
    mean = 1 / np.maximum(_sums(weight), _NOTHING)
    border = int(np.abs(candidates).max())
    wide = [cv2.copyMakeBorder(of, *[border] * 4, cv2.BORDER_CONSTANT) for of in (picture, known)]
    least, chosen = np.full(weight.shape, np.inf, np.float32), np.zeros(weight.shape, np.int32)
    all_colours = np.ones((1, 3), np.float32)
    for index, shift in enumerate(candidates):
        at = tuple(slice(s.start + border + n, s.stop + border + n) for s, n in zip(box, shift, strict=True))
        there, seen = (of[at] for of in wide)
        if not seen.any():
            continue
        squares = cv2.transform(np.square(there - here), all_colours)
        cost = _sums((CHOSEN.wrong + (squares - CHOSEN.wrong) * seen) * weight) * mean + _BESIDE * (1 - seen)
        better = cost < least
        least[better], chosen[better] = cost[better], index
    shifts = np.zeros((*hole.shape, 2), int)
    shifts[box] = candidates[chosen]
    return shifts * hole[..., None]


def _sums(values: np.ndarray) -> np.ndarray:
    """Sums over the patch around every pixel."""
    return cv2.boxFilter(values, -1, (CHOSEN.patch,) * 2, normalize=False, borderType=cv2.BORDER_CONSTANT)


def _averaged(picture: np.ndarray, hole: np.ndarray, known: np.ndarray, shifts: np.ndarray, patch: int) -> np.ndarray:
    """Colours [N, 3] of the hole's pixels, in the order of `np.nonzero`: the mean of what they would be if each pixel
    of the patch around one had its shift. Where none leads to what is known, they stay.
    """
    ys, xs = np.nonzero(hole)
    reach = patch // 2
    total, weights = np.zeros((len(ys), 3), np.float32), np.zeros(len(ys), np.float32)
    for step in itertools.product(range(-reach, reach + 1), repeat=2):
        near = ys + step[0], xs + step[1]
        shift = _at(shifts, *near)
        there = ys + shift[:, 0], xs + shift[:, 1]
        weight = np.float32(np.exp(-1.125 * np.dot(step, step) / reach**2))
        weight = weight * _at(hole, *near) * _at(known, *there)
        total += _at(picture, *there) * weight[:, None]
        weights += weight
    found = total / np.maximum(weights, _NOTHING)[:, None]
    return np.where(weights[:, None] > 0, found, picture[ys, xs])


def _at(maps: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """What maps [H, W, ...] hold at places, zeros outside."""
    (height, width), beyond = maps.shape[:2], (1,) * (maps.ndim - 2)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return maps[rows.clip(0, height - 1), columns.clip(0, width - 1)] * inside.reshape(*inside.shape, *beyond)
