"""The photo's shoes in the outlines of the target's.

Where a shoe points is seen in its outline, and the final map knows it: each is filled with the pixels of the photo's,
stretched from outline to outline and mirrored where it points the other way.

Conventions: NumPy; labels uint8 [H, W], ATR's; points are (x, y) in pixels, lengths fractions of the body height;
`Body`: see layout/body.py, one frame of NumPy arrays.
"""

import dataclasses

import cv2
import numpy as np

from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.segmentation import ID
from vton_jax.layout.body import Body

_SIDES = ("right", "left")


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """By thought; `benchmarks/faces.py` measures what comes of them on the catalogue's validation split."""

    least: float = 0.001  # of the squared body height: less of a shoe shows too little
    aside: float = 0.01  # of a shoe's middle from the ankle: from here on it is seen which way it points


CHOSEN = Thresholds()


@dataclasses.dataclass(frozen=True)
class Shoe:
    """Where in the photo the pixels of a target's shoe lie."""

    label: int
    place: np.ndarray  # float32 [H, W, 2]


def shoes(labels: np.ndarray, final: np.ndarray, own: Body, there: Body) -> list[Shoe]:
    """The shoes of the final map [H, W], as the photo's labels [H, W] show them; a hidden one is the other's mirror
    image.
    """
    found = []
    for side, other in zip(_SIDES, _SIDES[::-1], strict=True):
        label = ID[f"{side}-shoe"]
        target = final == label
        if target.sum() < CHOSEN.least * there.height**2:
            continue
        of = next((of for of in (side, other) if _is_whole(labels, of, own)), None)
        if of is None:
            continue
        points = _aside(labels == ID[f"{of}-shoe"], own, of), _aside(target, there, side)
        turned = points[0] * points[1] < 0 if min(map(abs, points)) > CHOSEN.aside else of != side
        found.append(Shoe(label, _stretched(labels == ID[f"{of}-shoe"], target, turned)))
    return found


def _is_whole(labels: np.ndarray, side: str, own: Body) -> bool:
    return int((labels == ID[f"{side}-shoe"]).sum()) >= CHOSEN.least * float(own.height) ** 2


def _aside(shoe: np.ndarray, body: Body, side: str) -> float:
    """How far a shoe's middle lies to the right of the ankle; 0 where nobody knows."""
    ankle = JOINTS[f"{side}-ankle"]
    if not body.visible[ankle]:
        return 0.0
    return float(np.nonzero(shoe)[1].mean() - body.joints[ankle][0]) / float(body.height)


def _stretched(shoe: np.ndarray, target: np.ndarray, mirrored: bool) -> np.ndarray:
    """Places float32 [H, W, 2] in the photo's shoe [H, W] of the pixels of a target's; none lies outside of it."""
    (middle, half), (to_middle, to_half) = _box(shoe), _box(target)
    rows, columns = np.mgrid[: target.shape[0], : target.shape[1]]
    relative = (np.stack([columns, rows], -1) - to_middle) / to_half
    place = middle + relative * half * np.float32([-1 if mirrored else 1, 1])
    # What falls beside the photo's shoe takes the nearest pixel of it; at its outline a little of the ground is seen.
    inner = cv2.erode(np.uint8(shoe), np.ones((3, 3), np.uint8)) > 0
    shoe = inner if inner.any() else shoe
    _, numbers = cv2.distanceTransformWithLabels(
        np.uint8(~shoe), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    nearest = np.zeros((numbers.max() + 1, 2), np.float32)
    nearest[numbers[shoe]] = np.argwhere(shoe)[:, ::-1]
    column, row = (np.clip(np.rint(place[..., axis]), 0, shoe.shape[1 - axis] - 1).astype(int) for axis in (0, 1))
    return np.where(shoe[row, column][..., None], place, nearest[numbers[row, column]]).astype(np.float32)


def _box(shoe: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(middle, half sides) of a mask, without its outermost pixels."""
    low, high = np.percentile(np.argwhere(shoe)[:, ::-1], (2, 98), axis=0)
    return np.float32(low + high) / 2, np.maximum(np.float32(high - low) / 2, 1)
