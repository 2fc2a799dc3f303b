"""A garment's outline in a flat photo: its mask, and the corners of its contour.

Conventions: images are uint8 RGB [H, W, 3], masks uint8 [H, W] of 0 and 1, points float64 (column, row). The front is
up and the neck or the waist at the top, so that the wearer's right is at the left of the picture. Contours run
clockwise as one sees them.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable

import cv2
import numpy as np

_POINTS = 400  # of a contour
_BACKGROUNDS = 4  # colours that the border of a photo is told by
_ARMHOLES = 0.4  # part of a dress' height above which they end
_SLEEVE_TURN = 0.9  # radians by which a contour turns inwards below a sleeve
_ROUNDS = 4  # of GrabCut

# The corners of each shape in the order in which the contour meets them.
CORNERS = {
    "sleeved": (
        "right-armpit", "right-cuff-under", "right-cuff-over", "right-shoulder", "right-neck", "left-neck",
        "left-shoulder", "left-cuff-over", "left-cuff-under", "left-armpit", "left-hem", "right-hem",
    ),
    "sleeveless": (
        "right-armpit", "right-shoulder", "right-neck", "left-neck", "left-shoulder", "left-armpit", "left-hem",
        "right-hem",
    ),
    "trousers": (
        "right-waist", "left-waist", "left-hem-outer", "left-hem-inner", "crotch", "right-hem-inner",
        "right-hem-outer",
    ),
    "skirt": ("right-waist", "left-waist", "left-hem", "right-hem"),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Outline:
    """A contour and its corners."""

    shape: str  # a key of CORNERS
    arcs: tuple[np.ndarray, ...]  # float64 [n, 2] each: from one corner to the next, both included; the last one closes

    def corner(self, name: str) -> np.ndarray:
        """Its place [2]."""
        return self.arcs[CORNERS[self.shape].index(name)][0]

    def arc(self, first: str) -> np.ndarray:
        """The arc [n, 2] that begins at a corner."""
        return self.arcs[CORNERS[self.shape].index(first)]

    @property
    def corners(self) -> np.ndarray:
        """[C, 2], in the order of `CORNERS`."""
        return np.stack([arc[0] for arc in self.arcs])

    @property
    def polygon(self) -> np.ndarray:
        """The whole contour [n, 2], each point once."""
        return np.concatenate([arc[:-1] for arc in self.arcs])

    def control_points(self, step: float) -> np.ndarray:
        """Points [n, 2] along the arcs, as many on an arc whatever its length, `step` widths apart or so."""
        counts = [max(2, round(_share(self.shape, index) / step)) for index in range(len(self.arcs))]
        return np.concatenate([resampled(arc, count + 1)[:-1] for arc, count in zip(self.arcs, counts, strict=True)])


def _share(shape: str, index: int) -> float:
    """How long an arc is, in widths of a garment about."""
    shares = {
        "sleeved": (0.5, 0.3, 0.6, 0.4, 0.6, 0.4, 0.6, 0.3, 0.5, 0.9, 1.0, 0.9),
        "sleeveless": (0.5, 0.3, 0.6, 0.3, 0.5, 1.4, 1.0, 1.4),
        "trousers": (0.8, 1.8, 0.4, 1.2, 1.2, 0.4, 1.8),
        "skirt": (0.8, 1.2, 1.0, 1.2),
    }
    return shares[shape][index]


def garment_mask(image: np.ndarray, low: float = 0.5, reach: float = 0.11, near: float = 16.0) -> np.ndarray:
    """The garment of a photo: GrabCut from the colours of the photo's border.

    Args: low: where the middle of what is surely garment lies, part of the height.
    reach: half the height of that part.
    near: how much like the border, in CIE Lab, probable background is.
    """
    height, width = image.shape[:2]
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    rim = 6
    border = [part.reshape(-1, 3) for part in (lab[:rim], lab[-rim:], lab[:, :rim], lab[:, -rim:])]
    cv2.setRNGSeed(0)  # clusters start at random
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    _, _, colours = cv2.kmeans(np.concatenate(border), _BACKGROUNDS, None, stop, 2, cv2.KMEANS_PP_CENTERS)
    apart = np.min([np.linalg.norm(lab - colour, axis=-1) for colour in colours], axis=0)
    marks = np.where(apart < near, cv2.GC_PR_BGD, cv2.GC_PR_FGD).astype(np.uint8)
    marks[:4], marks[-4:], marks[:, :4], marks[:, -4:] = (cv2.GC_BGD,) * 4
    row, column, half = int(low * height), width // 2, int(reach * height)
    marks[row - half : row + half, column - width // 10 : column + width // 10] = cv2.GC_FGD
    # First at half the size, then nothing but what lies near the outline.
    smaller = (width // 2, height // 2)
    image = np.ascontiguousarray(image[..., ::-1])
    small = cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)
    rough = _grab_cut(small, cv2.resize(marks, smaller, interpolation=cv2.INTER_NEAREST), _ROUNDS)
    rough = cv2.resize(rough, (width, height), interpolation=cv2.INTER_NEAREST)
    band = np.ones((9, 9), np.uint8)
    marks[(cv2.erode(rough, band) > 0) & (marks != cv2.GC_BGD)] = cv2.GC_FGD
    marks[(cv2.dilate(rough, band) == 0) & (marks != cv2.GC_FGD)] = cv2.GC_BGD
    return _whole(_grab_cut(image, marks, 1))


def _grab_cut(image: np.ndarray, marks: np.ndarray, rounds: int) -> np.ndarray:
    """GrabCut's mask of an image in BGR, from marks of what is (probably) garment or not."""
    found = marks.copy()
    cv2.grabCut(image, found, None, np.zeros((1, 65)), np.zeros((1, 65)), rounds, cv2.GC_INIT_WITH_MASK)
    return np.isin(found, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)


def _whole(mask: np.ndarray) -> np.ndarray:
    """The largest piece of a mask, without threads and small holes."""
    square = np.ones((5, 5), np.uint8)
    mask = cv2.morphologyEx(cv2.morphologyEx(mask, cv2.MORPH_OPEN, square), cv2.MORPH_CLOSE, square)
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(mask)
    if count < 2:
        return mask
    mask = (pieces == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA])).astype(np.uint8)
    count, holes, stats, _ = cv2.connectedComponentsWithStats(1 - mask)
    for hole in range(1, count):
        x, y, w, h, area = stats[hole]
        inside = x > 0 and y > 0 and x + w < mask.shape[1] and y + h < mask.shape[0]
        if inside and area < 0.012 * mask.sum():
            mask[holes == hole] = 1
    return mask


def resampled(line: np.ndarray, count: int) -> np.ndarray:
    """Points [count, 2] evenly along an open line [n, 2], its ends included."""
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    wanted = np.linspace(0, length[-1], count)
    return np.stack([np.interp(wanted, length, line[:, axis]) for axis in range(2)], 1)


def contour_of(mask: np.ndarray) -> np.ndarray:
    """The contour [400, 2] of a mask's largest piece, smoothed, clockwise. Raises: ValueError if the mask is empty."""
    soft = cv2.GaussianBlur(np.pad(mask, 3).astype(np.float32), (0, 0), 1.2)
    found, _ = cv2.findContours((soft > 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not found:
        raise ValueError("the mask is empty")
    line = max(found, key=cv2.contourArea)[:, 0].astype(np.float64) - 3
    if _area(line) < 0:
        line = line[::-1]
    return resampled(np.concatenate([line, line[:1]]), _POINTS + 1)[:-1]


def _area(polygon: np.ndarray) -> np.ndarray:
    """Signed areas [...] of polygons [..., n, 2], above 0 for those that run clockwise as one sees them."""
    x, y = polygon[..., 0], polygon[..., 1]
    return 0.5 * (x * np.roll(y, -1, -1) - y * np.roll(x, -1, -1)).sum(-1)


@functools.cache
def _choices(count: int, corners: int) -> np.ndarray:
    """Rising indices [n, corners] between the ends of a line of `count` points, not next to each other."""
    found = itertools.combinations(range(1, count - 1), corners)
    return np.array([choice for choice in found if all(b - a >= 2 for a, b in itertools.pairwise(choice))])


def _bends(line: np.ndarray, corners: int) -> list[int]:
    """Where a line [n, 2] bends: the inner corners of the polygon of largest area that has its ends, indices of it."""
    count = {1: 80, 2: 60, 3: 44}[corners]
    few = resampled(line, count)
    choices = _choices(count, corners)
    ends = np.zeros((len(choices), 1), int)
    polygons = few[np.concatenate([ends, choices, ends + count - 1], 1)]
    best = choices[np.argmax(_area(polygons))]
    return [int(np.argmin(np.linalg.norm(line - few[index], axis=1))) for index in best]


def _between(contour: np.ndarray, first: int, last: int) -> np.ndarray:
    """The part of a closed contour from one index on to another, both included."""
    return contour[np.arange(first, last + 1 + (len(contour) if last < first else 0)) % len(contour)]


def _cut_at(contour: np.ndarray, corners: list[int]) -> tuple[np.ndarray, ...]:
    """Arcs between corners, or ValueError where they are not in order."""
    steps = np.diff([*corners, corners[0]]) % len(contour)
    if (steps < 1).any() or steps.sum() != len(contour):
        raise ValueError("the corners are not in order")
    return tuple(_between(contour, a, b) for a, b in itertools.pairwise([*corners, corners[0]]))


def _hollows(contour: np.ndarray, reach: int = 14) -> np.ndarray:
    """How sharply a contour turns inwards [n], in radians, looked at `reach` points off; 0 where it turns outwards."""
    back, on = np.roll(contour, reach, 0) - contour, np.roll(contour, -reach, 0) - contour
    turn = back[:, 0] * on[:, 1] - back[:, 1] * on[:, 0]
    lengths = np.linalg.norm(back, axis=1) * np.linalg.norm(on, axis=1)
    angle = np.arccos(np.clip((back * on).sum(1) / np.maximum(lengths, 1e-9), -1, 1))
    return np.where(turn > 0, np.pi - angle, 0)


def _neck(contour: np.ndarray, top: np.ndarray, middle: float, width: float) -> list[int]:
    """The two corners of the neck: high points left and right of the middle, as near to it as may be.

    Args: top: indices of the contour's upper part, in order."""
    x, y = contour[top].T
    found = []
    for side in (-1, 1):
        aside = side * (x - middle) / width
        value = np.where((aside > 0.06) & (aside < 0.36), y + 0.25 * np.abs(x - middle), np.inf)
        if not np.isfinite(value).any():
            raise ValueError("no neck is found")
        found.append(int(np.argmin(value)))
    if found[0] >= found[1]:
        raise ValueError("the corners of the neck are crossed")
    return found


def _sleeved(contour: np.ndarray) -> list[int]:
    low, high = contour.min(0), contour.max(0)
    x, y = ((contour - low) / (high - low)).T
    hollow = np.where((y > 0.15) & (y < 0.75), _hollows(contour) - 0.4 * y, -np.inf)
    armpits = [int(np.argmax(np.where(side, hollow, -np.inf))) for side in (x < 0.47, x > 0.53)]
    if not all(np.isfinite(hollow[a]) and hollow[a] > 0.15 for a in armpits):
        raise ValueError("no armpits are found")
    size = len(contour)
    close = _hollows(contour, 6)
    around = [(armpit + np.arange(-7, 8)) % size for armpit in armpits]
    armpits = [int(near[np.argmax(close[near])]) for near in around]
    top = np.arange(armpits[0], armpits[1] + (size if armpits[1] < armpits[0] else 0) + 1) % size
    middle, width = contour[armpits, 0].mean(), contour[armpits[1], 0] - contour[armpits[0], 0]
    neck = _neck(contour, top, middle, width)
    right, left = contour[top[: neck[0] + 1]], contour[top[neck[1] :]]
    if min(len(right), len(left)) < 8:
        raise ValueError("no sleeves are found")
    under, over, shoulder = _bends(right, 3)
    left_shoulder, left_over, left_under = _bends(left, 3)
    bottom = _between(contour, armpits[1], armpits[0])
    hems = _bends(bottom, 2)
    on_left = [int(top[neck[1] + k]) for k in (left_shoulder, left_over, left_under)]
    return [
        armpits[0], *(int(top[k]) for k in (under, over, shoulder)), int(top[neck[0]]), int(top[neck[1]]), *on_left,
        armpits[1], *((armpits[1] + hem) % size for hem in hems),
    ]  # fmt: skip


def _box_corners(contour: np.ndarray) -> list[int]:
    """Top left, top right, bottom right, bottom left."""
    x, y = ((contour - contour.min(0)) / np.ptp(contour, axis=0)).T
    return [int(np.argmin(value)) for value in (x + y, y - x, -x - y, x - y)]


def _sleeveless(contour: np.ndarray) -> list[int]:
    _, _, left_hem, right_hem = _box_corners(contour)
    size = len(contour)
    top = np.arange(right_hem, left_hem + (size if left_hem < right_hem else 0) + 1) % size
    x, y = contour[top].T
    upper = y < y.min() + 0.35 * np.ptp(y)
    neck = _neck(contour, top, x[upper].mean(), np.ptp(x[upper]))
    right, left = contour[top[: neck[0] + 1]], contour[top[neck[1] :]]
    if min(len(right), len(left)) < 8:
        raise ValueError("no sides are found")
    hollow = np.where(y > y.min() + 0.15 * np.ptp(y), _hollows(contour)[top], 0)
    if min(hollow[: neck[0]].max(initial=0), hollow[neck[1] :].max(initial=0)) > _SLEEVE_TURN:
        raise ValueError("there are sleeves")
    # Armholes end in the upper part; below, a wide hem would draw the corner down to it.
    low = y.min() + _ARMHOLES * np.ptp(y)
    first, last = int(np.argmax(right[:, 1] < low)), len(left) - int(np.argmax(left[::-1, 1] < low))
    armpit, shoulder = (first + bend for bend in _bends(right[first:], 2))
    left_shoulder, left_armpit = _bends(left[:last], 2)
    return [
        int(top[armpit]), int(top[shoulder]), int(top[neck[0]]), int(top[neck[1]]),
        int(top[neck[1] + left_shoulder]), int(top[neck[1] + left_armpit]), left_hem, right_hem,
    ]  # fmt: skip


def _trousers(contour: np.ndarray) -> list[int]:
    right_waist, left_waist, left_hem, right_hem = _box_corners(contour)
    bottom = _between(contour, left_hem, right_hem)
    left, right = bottom[0, 0], bottom[-1, 0]
    across = (bottom[:, 0] - right) / (left - right) if left > right else np.zeros(len(bottom))
    inner = np.flatnonzero((across > 0.25) & (across < 0.75))
    if not len(inner):
        raise ValueError("no crotch is found")
    crotch = int(inner[np.argmin(bottom[inner, 1])])
    if min(crotch, len(bottom) - 1 - crotch) < 8:
        raise ValueError("no crotch is found")
    (left_inner,), (right_inner,) = _bends(bottom[: crotch + 1], 1), _bends(bottom[crotch:], 1)
    places = [left_inner, crotch, crotch + right_inner]
    return [right_waist, left_waist, left_hem, *((left_hem + place) % len(contour) for place in places), right_hem]


_FINDERS: dict[str, Callable[[np.ndarray], list[int]]] = {
    "sleeved": _sleeved, "sleeveless": _sleeveless, "trousers": _trousers, "skirt": _box_corners,
}  # fmt: skip


def find_outline(mask: np.ndarray, shape: str) -> Outline:
    """The outline of a mask as one of the shapes of `CORNERS`. Raises: ValueError where its corners are not found."""
    contour = contour_of(mask)
    return Outline(shape, _cut_at(contour, _FINDERS[shape](contour)))
