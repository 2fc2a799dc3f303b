"""The photo's hands where the target's are: moved, turned and scaled with the forearm.

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

    beyond_wrist: float = 0.035  # the hand's middle, along the forearm
    reach: float = 0.065  # about it
    shortest: float = 0.05  # of a forearm as it is seen: one that points to the camera says no direction
    foreshortened: float = 1.6  # how much longer one forearm may look than the other: else hands are seen otherwise


CHOSEN = Thresholds()


@dataclasses.dataclass(frozen=True)
class Hand:
    """Where in the photo a hand's pixels lie."""

    label: int  # of its arm
    place: np.ndarray  # float32 [H, W, 2]
    near: np.ndarray  # float32 [H, W] in [0, 1], softly ending around it


def hands(own: Body, there: Body, size: tuple[int, int]) -> list[Hand]:
    """The hands that the photo shows as the target does."""
    points, found = np.stack(np.meshgrid(*map(np.arange, size[::-1])), -1).astype(np.float32), []
    for side in ("right", "left"):
        elbow, wrist = JOINTS[f"{side}-elbow"], JOINTS[f"{side}-wrist"]
        if not all(body.visible[joint] for body in (own, there) for joint in (elbow, wrist)):
            continue
        (start, along, length), (user_start, user_along, user_length) = (
            _forearm(body, elbow, wrist) for body in (there, own)
        )
        ratio = user_length / length if length > 0 else np.inf
        if min(length, user_length) < CHOSEN.shortest or max(ratio, 1 / ratio) > CHOSEN.foreshortened:
            continue
        relative = (points - start) / there.height
        down, aside = relative @ along, relative @ np.float32([along[1], -along[0]])
        across = np.float32([user_along[1], -user_along[0]])
        place = user_start + own.height * (down[..., None] * user_along + aside[..., None] * across)
        distance = np.hypot(down - CHOSEN.beyond_wrist, aside) / CHOSEN.reach
        near = np.clip(4 * (1 - distance), 0, 1) * np.clip(1 + 40 * down, 0, 1)
        found.append(Hand(ID[f"{side}-arm"], place.astype(np.float32), near.astype(np.float32)))
    return found


def _forearm(body: Body, elbow: int, wrist: int) -> tuple[np.ndarray, np.ndarray, float]:
    """(wrist, the forearm's direction, its length as it is seen)."""
    bone = np.float32(body.joints[wrist]) - np.float32(body.joints[elbow])
    length = float(np.linalg.norm(bone))
    return np.float32(body.joints[wrist]), bone / max(length, 1e-6), length / float(body.height)
