"""The photo's hands where the target's are: they move, turn and grow with the forearm.

Conventions: NumPy; points are (x, y) in pixels, lengths fractions of the body height; `Body`: see layout/body.py, one
frame of NumPy arrays.
"""

import dataclasses

import numpy as np

from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.segmentation import ID
from vton_jax.layout.body import Body


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """By eye on the catalogue's validation split."""

    beyond: float = 0.035  # the wrist to the middle of what is carried, along the forearm
    reach: float = 0.065  # about it
    shortest: float = 0.05  # of a bone as it is seen: one that points to the camera says no direction
    foreshortened: float = 1.6  # how much longer one bone may look than the other: else its end is seen otherwise


CHOSEN = Thresholds()
_MARGIN = 1.5  # of the reach: so far places are said; enlarged, flows are interpolated


@dataclasses.dataclass(frozen=True)
class LimbEnd:
    """Where in the photo the pixels of a hand lie."""

    label: int  # of its arm
    place: np.ndarray  # float32 [H, W, 2]
    near: np.ndarray  # float32 [H, W] in [0, 1], softly ending around it
    beyond: np.ndarray  # bool [H, W], beyond the wrist, near or far


def limb_ends(own: Body, there: Body, size: tuple[int, int]) -> list[LimbEnd]:
    """The hands that the photo shows as the target does."""
    found, pixels = [], np.stack(np.meshgrid(*map(np.arange, size[::-1])), -1).astype(np.float32)
    for side in ("right", "left"):
        joints = [JOINTS[f"{side}-{name}"] for name in ("elbow", "wrist")]
        if not all(body.visible[joint] for body in (own, there) for joint in joints):
            continue
        (start, along, length), (user_start, user_along, user_length) = (_bone(body, *joints) for body in (there, own))
        ratio = user_length / length if length > 0 else np.inf
        if min(length, user_length) < CHOSEN.shortest or max(ratio, 1 / ratio) > CHOSEN.foreshortened:
            continue
        box = box_about(start + CHOSEN.beyond * there.height * along, _MARGIN * CHOSEN.reach * there.height, size)
        relative = (pixels[box] - start) / there.height
        down, aside = relative @ along, relative @ np.float32([along[1], -along[0]])
        across = np.float32([user_along[1], -user_along[0]])
        place, near, beyond = pixels.copy(), np.zeros(size, np.float32), np.zeros(size, bool)
        place[box] = user_start + own.height * (down[..., None] * user_along + aside[..., None] * across)
        distance = np.hypot(down - CHOSEN.beyond, aside) / CHOSEN.reach
        near[box] = np.clip(4 * (1 - distance), 0, 1) * np.clip(1 + 40 * down, 0, 1)
        beyond[box] = down > 0
        found.append(LimbEnd(ID[f"{side}-arm"], place, near, beyond))
    return found


def box_about(middle: np.ndarray, reach: float, size: tuple[int, int]) -> tuple[slice, slice]:
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
