"""The photo's shoes where the target's are.

A shoe keeps its shape: it moves with the ankle, mirrored where the target's points the other way, and the final map's
outline, which is that of other shoes, gives way. Where the photo shows too little of it, or from elsewhere, the map's
outline is filled with its pixels, stretched from outline to outline.

Conventions: NumPy; labels uint8 [H, W], ATR's; points are (x, y) in pixels, lengths fractions of the body height;
`Body`: see layout/body.py, one frame of NumPy arrays.
"""

import dataclasses
from collections.abc import Collection

import cv2
import numpy as np

from vton_jax.core import segmentation
from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.segmentation import ID
from vton_jax.layout.body import Body
from vton_jax.layout.limbs import USUAL_HALF

_SIDES = ("right", "left")


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """By thought; `benchmarks/faces.py` measures what comes of them on the catalogue's validation split."""

    least: float = 0.001  # of the squared body height: less of a shoe shows too little
    aside: float = 0.01  # of a shoe's middle from the ankle: from here on it is seen which way it points
    # Of the pixels that a whole shoe and the target's cover together, how many both must. By eye, as what follows, on
    # photos set aside for choosing (Clothing Co-Parsing, numbers that end in 1).
    overlap: float = 0.3
    own_side: float = 0.1  # by how much more a shoe must that is turned over
    tall: float = 0.06  # above the ankle: what reaches so far is a boot, and worn over trousers
    shin: float = 1.2  # times the usual half width of a leg at its ankle: no wider is what a lower shoe bares of it


CHOSEN = Thresholds()


@dataclasses.dataclass(frozen=True)
class Shoe:
    """Where in the photo the pixels of a target's shoe lie."""

    label: int
    place: np.ndarray  # float32 [H, W, 2]


def shoes(labels: np.ndarray, final: np.ndarray, own: Body, there: Body, but: Collection[int] = ()) -> list[Shoe]:
    """The shoes of the final map [H, W], as the photo's labels [H, W] show them; a hidden one is the other's mirror
    image. Args: but: labels of shoes that are known.
    """
    found = []
    for side, other in zip(_SIDES, _SIDES[::-1], strict=True):
        label = ID[f"{side}-shoe"]
        target = final == label
        if label in but or target.sum() < CHOSEN.least * there.height**2:
            continue
        of = next((of for of in (side, other) if _is_whole(labels, of, own)), None)
        if of is None:
            continue
        points = _aside(labels == ID[f"{of}-shoe"], own, of), _aside(target, there, side)
        turned = points[0] * points[1] < 0 if min(map(abs, points)) > CHOSEN.aside else of != side
        found.append(Shoe(label, _stretched(labels == ID[f"{of}-shoe"], target, turned)))
    return found


def with_whole_shoes(
    labels: np.ndarray, final: np.ndarray, bodies: tuple[Body, Body], still: np.ndarray
) -> tuple[np.ndarray, list[Shoe]]:
    """(the final map [H, W] with the photo's shoes in their own shape, those shoes).

    What the map's shoes covered beside them is leg or trousers above, and ground below. Clothes stay before shoes, but
    trousers behind boots.
    Args: labels: what the photo shows [H, W]. bodies: the photo's and the target's. still: [18], how much each part
    stands where it stood: what stands quite still stays as it is.
    """
    out, found = final, []
    for side in _SIDES:
        label, ankle = ID[f"{side}-shoe"], JOINTS[f"{side}-ankle"]
        target = final == label
        if still[label] == 1 or not bodies[1].visible[ankle] or target.sum() < CHOSEN.least * bodies[1].height ** 2:
            continue
        place, mask = _best_whole(labels, target, side, bodies)
        if mask is None:
            continue
        rows = np.arange(len(final))[:, None]
        above = bodies[1].joints[ankle][1] - np.flatnonzero(mask.any(1))[0]
        before = _CLOTHES[1:] if above > CHOSEN.tall * float(bodies[1].height) else _CLOTHES
        mask &= ~np.isin(out, before)
        if not mask.any():
            continue
        bared = target & ~mask
        legs = segmentation.fill_from_nearest(out, ~np.isin(out, (*segmentation.LEGS, *_CLOTHES)))
        leg = bared & (rows < np.nonzero(mask)[0].mean()) & _on_shin(bodies[1], side, final.shape)
        out = np.where(bared, np.where(leg, legs, 0), out)
        out = np.where(mask, label, out).astype(np.uint8)
        found.append(Shoe(label, place))
    return out, found


_CLOTHES = tuple(ID[name] for name in ("pants", "skirt", "dress", "upper-clothes"))


def _best_whole(labels: np.ndarray, target: np.ndarray, side: str, bodies: tuple[Body, Body]):
    """(places [H, W, 2] in the photo, mask [H, W]) of the shoe that covers a target's best; (None, None): none does."""
    own, there = bodies
    best, found = CHOSEN.overlap, (None, None)
    grid = np.stack(np.meshgrid(*map(np.arange, target.shape[::-1])), -1).astype(np.float32)
    relative = (grid - there.joints[JOINTS[f"{side}-ankle"]]) * (float(own.height) / float(there.height))
    for of in (side, _SIDES[_SIDES[0] == side]):
        ankle = JOINTS[f"{of}-ankle"]
        if not own.visible[ankle] or not _is_whole(labels, of, own):
            continue
        shown = np.uint8(labels == ID[f"{of}-shoe"])
        for mirrored in (False, True):
            place = np.float32(own.joints[ankle] + relative * np.float32([-1 if mirrored else 1, 1]))
            mask = cv2.remap(shown, place, None, cv2.INTER_NEAREST) > 0
            overlap = (mask & target).sum() / max((mask | target).sum(), 1)
            overlap -= CHOSEN.own_side * ((of != side) != mirrored)  # the other shoe is this one's mirror image
            if overlap > best:
                best, found = overlap, (place, mask)
    return found


def _on_shin(there: Body, side: str, size: tuple[int, int]) -> np.ndarray:
    """The pixels bool [H, W] as near to the line from knee to ankle, and on beyond it, as a leg is wide there."""
    knee, ankle = (np.float32(there.joints[JOINTS[f"{side}-{joint}"]]) for joint in ("knee", "ankle"))
    along = (ankle - knee) / max(float(np.linalg.norm(ankle - knee)), 1e-6)
    aside = (np.stack(np.meshgrid(*map(np.arange, size[::-1])), -1) - ankle) @ np.float32([along[1], -along[0]])
    return np.abs(aside) <= CHOSEN.shin * USUAL_HALF["leg"][-1] * float(there.height)


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
