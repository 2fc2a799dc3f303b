"""Thin-plate-spline warps between two outlines, matched by shape contexts: the flow of VITON, and of ClothFlow's
ablation "w/o Flow + TPS".

S. Belongie, J. Malik and J. Puzicha, "Shape Matching and Object Recognition Using Shape Contexts", PAMI 2002: points of
either outline are described by where the others lie about them, in log-polar bins, and matched one to one; a thin-plate
spline through the matches moves the outline, and matching begins anew. F. Bookstein, "Principal Warps", PAMI 1989: the
spline `f(p) = a + A p + sum_i w_i U(|p - p_i|)`, `U(r) = r^2 log r^2`.

Conventions: masks are bool [H, W]; points float [K, 2], (x, y) in pixels; flows backward, in pixels. NumPy alone.
"""

import dataclasses

import cv2
import numpy as np


@dataclasses.dataclass(frozen=True)
class Matching:
    """As in the paper, but for `points` and `stiffness`, chosen on the catalogue's validation split."""

    points: int = 64  # of each outline
    angles: int = 12
    radii: tuple[float, ...] = (0.125, 0.25, 0.5, 1.0, 2.0)  # of the mean distance: outer edges of the rings
    rounds: int = 3
    stiffness: float = 1.0  # of the spline: 0 leads the outline exactly to its matches


CHOSEN = Matching()


def outline(mask: np.ndarray, count: int) -> np.ndarray:
    """`count` points [count, 2] of a mask's outlines, evenly along them; none, [0, 2], of an empty mask."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return np.zeros((0, 2))
    points = np.concatenate([contour[:, 0] for contour in sorted(contours, key=len, reverse=True)])
    return points[np.linspace(0, len(points), count, endpoint=False).astype(int)].astype(np.float64)


def shape_contexts(points: np.ndarray, matching: Matching = CHOSEN) -> np.ndarray:
    """Of each point [K, 2] the fraction of the others in every bin, [K, rings * angles]."""
    apart = points[None] - points[:, None]  # [K, K, 2], from each point to the others
    distance = np.linalg.norm(apart, axis=-1)
    ring = np.searchsorted(matching.radii, distance / max(distance.mean(), 1e-9))
    angle = np.floor(np.arctan2(apart[..., 1], apart[..., 0]) / (2 * np.pi) * matching.angles).astype(int)
    bins, others = ring * matching.angles + angle % matching.angles, ~np.eye(len(points), dtype=bool)
    total = len(matching.radii) * matching.angles
    rows = [np.bincount(row[keep & (row < total)], minlength=total) for row, keep in zip(bins, others, strict=True)]
    return np.array(rows) / max(len(points) - 1, 1)


def match(one: np.ndarray, other: np.ndarray, matching: Matching = CHOSEN) -> np.ndarray:
    """Which point of `other` [K, 2] belongs to each of `one` [K, 2]: the least sum of chi-squared distances."""
    from scipy.optimize import linear_sum_assignment

    a, b = (shape_contexts(points, matching) for points in (one, other))
    a, b = a[:, None], b[None]
    cost = 0.5 * np.sum((a - b) ** 2 / np.maximum(a + b, 1e-9), -1)
    return linear_sum_assignment(cost)[1]


def _radial(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """U(|p - p_i|), [..., K]."""
    squared = np.sum((points[..., None, :] - centres) ** 2, -1)
    return squared * np.log(np.maximum(squared, 1e-12))


@dataclasses.dataclass(frozen=True)
class Spline:
    """f of the module's docstring, in coordinates of unit scale about `middle`."""

    centres: np.ndarray  # [K, 2]
    weights: np.ndarray  # [K + 3, 2]: w, then a and A
    middle: np.ndarray  # [2]
    scale: float

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """f of points [..., 2]."""
        points = (np.asarray(points, np.float64) - self.middle) / self.scale
        basis = np.concatenate([_radial(points, self.centres), np.ones((*points.shape[:-1], 1)), points], -1)
        return basis @ self.weights


def fit(start: np.ndarray, end: np.ndarray, stiffness: float) -> Spline:
    """The spline that leads points `start` [K, 2] to `end` [K, 2]; stiff ones come near, 0 leads there exactly."""
    middle, count = start.mean(0), len(start)
    scale = max(float(np.linalg.norm(start - middle, axis=-1).mean()), 1e-9)
    centres = (start - middle) / scale
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _radial(centres, centres) + stiffness * np.eye(count)
    affine = np.concatenate([np.ones((count, 1)), centres], 1)
    system[:count, count:], system[count:, :count] = affine, affine.T
    weights = np.linalg.lstsq(system, np.concatenate([end, np.zeros((3, 2))]), rcond=None)[0]
    return Spline(centres, weights, middle, scale)


def flow(source: np.ndarray, target: np.ndarray, matching: Matching = CHOSEN) -> np.ndarray:
    """The flow float32 [H, W, 2] from every pixel of the target's frame to the source's; zero where either is empty.

    Args: source, target: masks bool [H, W] of the garment.
    """
    height, width = target.shape
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float64)
    start, end = (outline(mask, matching.points) for mask in (target, source))
    if not len(start) or not len(end):
        return np.zeros((height, width, 2), np.float32)
    moved = start
    for _ in range(matching.rounds):
        spline = fit(start, end[match(moved, end, matching)], matching.stiffness)
        moved = spline(start)
    return (spline(grid) - grid).astype(np.float32)
