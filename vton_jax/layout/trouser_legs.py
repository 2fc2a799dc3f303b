"""The legs of trousers that somebody goes on wearing: in another pose they are as wide, and part where they did.

LayoutRefinementCNN fills the ground between them on photos, or what somebody else's wide trousers cover in the pose's.

Conventions: NumPy; labels uint8 [H, W]; `Body`: see body.py, one frame of NumPy arrays; places on legs: see limbs.py.
"""

import dataclasses

import cv2
import numpy as np

from vton_jax.core import framing
from vton_jax.core.segmentation import ID
from vton_jax.core.types import Layout
from vton_jax.layout import limbs
from vton_jax.layout.body import Body

_PANTS = ID["pants"]
_LEGS = [np.array(joints) for _, kind, _, joints in limbs.CHAINS if kind == "leg"]
_BARE = limbs.usual_half(ID["right-leg"])
_ROWS = np.arange(2 * limbs.BINS)


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """By eye on photos set aside for choosing (Clothing Co-Parsing, numbers that end in 1)."""

    gap: float = 0.008  # body heights of ground beside a leg, from which on its outline is believed
    wider: float = 1.15  # times as wide as in the photo a leg may reach: it is seen from elsewhere
    slack: float = 0.006  # body heights beyond that
    slit: float = 2 / 256  # of the map's height: narrower gaps look like tears
    smooth: float = 1.0  # sigma of outlines, in rows
    opens: float = 0.006  # body heights a row, beyond the rows that the photo shows
    fewest_rows: int = 6  # of a leg, beside which the ground is seen


CHOSEN = Thresholds()


@dataclasses.dataclass(frozen=True)
class _Inside:
    """Pixels of trousers that are nearer to one leg than to the other."""

    y: np.ndarray  # int [N]
    x: np.ndarray  # int [N]
    row: np.ndarray  # int [N], of `2 * limbs.BINS`
    inner: np.ndarray  # float [N], body heights from the bone towards the other leg
    apart: np.ndarray  # float [rows], body heights from its bone to the other's, to the picture's right where it hangs


def as_worn(final: np.ndarray, user: Layout, pose: Layout) -> np.ndarray:
    """A target layout [H, W] with the legs of trousers no wider, on either side, than the user's photo shows them."""
    labels = np.asarray(user.segmentation)
    bodies = limbs.bodies_of((user, pose), final.shape)
    if not all(np.asarray(body.visible)[np.concatenate(_LEGS)].all() for body in bodies):
        return final
    out = final.copy()
    for number in range(2):
        own = _inside(labels == _PANTS, bodies[0], number)
        there = _inside(final == _PANTS, bodies[1], number)
        for side in (1, -1):
            bound = CHOSEN.wider * _reach(labels, bodies[0], number, own, side)
            bound = np.maximum(bound, _BARE) + CHOSEN.slack  # no narrower than legs, whatever joints were read
            cut = side * there.inner > bound[there.row]
            out[there.y[cut], there.x[cut]] = 0
    slits = np.ones((1, framing.pixels(CHOSEN.slit, len(final)) + 1), np.uint8)
    closed = cv2.morphologyEx(np.uint8(out == _PANTS), cv2.MORPH_CLOSE, slits) > 0
    return np.where(closed & (out == 0), _PANTS, out).astype(np.uint8)


def _reach(labels: np.ndarray, body: Body, number: int, leg: _Inside, side: int) -> np.ndarray:
    """How far a leg of the photo's trousers reaches to one side of its bone, body heights [rows]; above and below where
    ground is seen beside it ever farther. Infinite where there is hardly any.

    Args: side: 1: towards the other leg; -1: away from it.
    """
    reach = np.full(len(_ROWS), -np.inf)
    np.maximum.at(reach, leg.row, side * leg.inner)
    height, chain = float(body.height), np.float32(body.joints)[_LEGS[number]]
    known = np.isfinite(reach)
    reach[~known] = 0
    outside = reach + 1 / height
    for step in (0.5, 1.0):
        off = side * np.sign(leg.apart) * (outside + step * CHOSEN.gap) * height
        x, y = np.rint(limbs.points_at(chain, (_ROWS + 0.5) / limbs.BINS, off)).astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < labels.shape[1]) & (y < labels.shape[0])
        known &= inside & (labels[np.where(inside, y, 0), np.where(inside, x, 0)] == 0)
    if side > 0:
        known &= outside + CHOSEN.gap < np.abs(leg.apart)
    if known.sum() < CHOSEN.fewest_rows:
        return np.full(len(_ROWS), np.inf)
    first, last = np.flatnonzero(known)[[0, -1]]
    bound = np.interp(_ROWS, _ROWS[known], reach[known])
    bound = cv2.GaussianBlur(bound[None], (0, 0), CHOSEN.smooth, borderType=cv2.BORDER_REPLICATE)[0]
    return bound + CHOSEN.opens * (np.maximum(first - _ROWS, 0) + np.maximum(_ROWS - last, 0))


def _bones_apart(body: Body, number: int) -> np.ndarray:
    """Pixels [rows] from a leg's bone to the other's, along the first's side."""
    own, other = (np.float32(body.joints)[_LEGS[one]] for one in (number, 1 - number))
    down, zero = (_ROWS + 0.5) / limbs.BINS, np.zeros(len(_ROWS))
    unit = limbs.points_at(own, down, zero + 1) - limbs.points_at(own, down, zero)
    return ((limbs.points_at(other, down, zero) - limbs.points_at(own, down, zero)) * unit).sum(-1)


def _inside(mask: np.ndarray, body: Body, number: int) -> _Inside:
    y, x = np.nonzero(mask)
    points, height = np.stack([x, y], -1).astype(np.float32), float(body.height)
    (down, side, near), (_, _, other) = (
        limbs.nearest(points, np.float32(body.joints)[_LEGS[one]]) for one in (number, 1 - number)
    )
    mine = (near <= other) & (down >= 0) & (down < 2)
    row = np.clip(down[mine] * limbs.BINS, 0, len(_ROWS) - 1).astype(int)
    apart = _bones_apart(body, number) / height
    return _Inside(y[mine], x[mine], row, side[mine] * np.sign(apart)[row] / height, apart)
