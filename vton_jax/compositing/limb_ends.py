"""The photo's hands and feet where the target's are.

Hands move, turn and grow with the forearm; feet move and grow with the ankle: they stand on the ground however the shin
leans.

Conventions: NumPy; points are (x, y) in pixels, lengths fractions of the body height; `Body`: see layout/body.py, one
frame of NumPy arrays.
"""

import dataclasses

import numpy as np

from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.segmentation import ID
from vton_jax.layout.body import Body


@dataclasses.dataclass(frozen=True)
class Limb:
    """What ends in a hand, by eye on the catalogue's validation split, or in a foot, by thought."""

    joints: tuple[str, str]  # of its last bone
    label: str  # of what is carried
    beyond: float  # the last joint to the middle of what is carried, along its direction
    reach: float  # about it
    turns: bool  # with the bone; else it hangs down


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """By eye on the catalogue's validation split."""

    shortest: float = 0.05  # of a bone as it is seen: one that points to the camera says no direction
    foreshortened: float = 1.6  # how much longer one bone may look than the other: else its end is seen otherwise


LIMBS = (
    Limb(("elbow", "wrist"), "arm", 0.035, 0.065, True),
    Limb(("knee", "ankle"), "shoe", 0.03, 0.09, False),
)
CHOSEN = Thresholds()
_DOWN = np.float32([0, 1])
_MARGIN = 1.5  # of the reach: so far places are said; enlarged, flows are interpolated


@dataclasses.dataclass(frozen=True)
class LimbEnd:
    """Where in the photo the pixels of a hand or a foot lie."""

    label: int  # of its arm or shoe
    place: np.ndarray  # float32 [H, W, 2]
    near: np.ndarray  # float32 [H, W] in [0, 1], softly ending around it


def limb_ends(own: Body, there: Body, size: tuple[int, int]) -> list[LimbEnd]:
    """The hands and feet that the photo shows as the target does."""
    found, pixels = [], np.stack(np.meshgrid(*map(np.arange, size[::-1])), -1).astype(np.float32)
    for side, limb in ((side, limb) for limb in LIMBS for side in ("right", "left")):
        joints = [JOINTS[f"{side}-{name}"] for name in limb.joints]
        if not all(body.visible[joint] for body in (own, there) for joint in joints):
            continue
        (start, along, length), (user_start, user_along, user_length) = (_bone(body, *joints) for body in (there, own))
        ratio = user_length / length if length > 0 else np.inf
        if min(length, user_length) < CHOSEN.shortest or max(ratio, 1 / ratio) > CHOSEN.foreshortened:
            continue
        if not limb.turns:
            along = user_along = _DOWN
        box = _box(start + limb.beyond * there.height * along, _MARGIN * limb.reach * there.height, size)
        relative = (pixels[box] - start) / there.height
        down, aside = relative @ along, relative @ np.float32([along[1], -along[0]])
        across = np.float32([user_along[1], -user_along[0]])
        place, near = pixels.copy(), np.zeros(size, np.float32)
        place[box] = user_start + own.height * (down[..., None] * user_along + aside[..., None] * across)
        distance = np.hypot(down - limb.beyond, aside) / limb.reach
        near[box] = np.clip(4 * (1 - distance), 0, 1) * np.clip(1 + 40 * down, 0, 1)
        found.append(LimbEnd(ID[f"{side}-{limb.label}"], place, near))
    return found


def _box(middle: np.ndarray, reach: float, size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of a picture of a size (height, width) that are so near to a point."""
    first, last = (
        np.clip(of(middle + sign * reach), 0, size[::-1]).astype(int) for of, sign in ((np.floor, -1), (np.ceil, 1))
    )
    return tuple(slice(*ends) for ends in zip(first[::-1], last[::-1], strict=True))


def _bone(body: Body, first: int, last: int) -> tuple[np.ndarray, np.ndarray, float]:
    """(the last joint, the bone's direction, its length as it is seen)."""
    bone = np.float32(body.joints[last]) - np.float32(body.joints[first])
    length = float(np.linalg.norm(bone))
    return np.float32(body.joints[last]), bone / max(length, 1e-6), length / float(body.height)
