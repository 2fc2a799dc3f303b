"""How a body stands: bones turned by a pose, and the vertices that follow them.

Conventions: a `Pose` is the same for all bodies. Most limbs *aim*: they point along a direction in the person's own
frame (x left, y up, z front), which is reached by the smallest turn, so that no bone rolls; other bones turn by a
rotation matrix in the axes of the neutral body. `yaw` turns the whole person, positive to the picture's right.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping

import numpy as np

from vton_jax.catalogue import assets, compiled

# The joint that a limb points at.
_NEXT = {
    "clavicle": "upperarm", "upperarm": "lowerarm", "lowerarm": "hand", "hand": "middle_01",
    "thigh": "calf", "calf": "foot", "foot": "ball",
}  # fmt: skip
SIDES = ("l", "r")


@dataclasses.dataclass(frozen=True)
class Aim:
    """A limb's direction [3], and how far it turns about it, in radians."""

    direction: tuple[float, float, float]
    twist: float = 0.0


@dataclasses.dataclass(frozen=True)
class Pose:
    """How somebody stands; bones that are not named follow their parents."""

    aims: Mapping[str, Aim]
    turns: Mapping[str, np.ndarray]  # [3, 3]
    yaw: float = 0.0  # radians

    def turned(self, yaw: float) -> "Pose":
        return dataclasses.replace(self, yaw=yaw)


def rotation(axis, angle: float) -> np.ndarray:
    """The matrix [3, 3] of a turn about an axis [3] (Rodrigues)."""
    x, y, z = map(float, axis)  # plain numbers: arrays of three take ten times as long
    length = math.sqrt(x * x + y * y + z * z)
    x, y, z, sine, rest = x / length, y / length, z / length, math.sin(angle), 1 - math.cos(angle)
    return np.array([
        [1 - rest * (y * y + z * z), rest * x * y - sine * z, rest * x * z + sine * y],
        [rest * x * y + sine * z, 1 - rest * (x * x + z * z), rest * y * z - sine * x],
        [rest * x * z - sine * y, rest * y * z + sine * x, 1 - rest * (x * x + y * y)],
    ])  # fmt: skip


def smallest_turn(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The smallest rotation [3, 3] that takes the direction `source` [3] to `target` [3]."""
    (a, b, c), (x, y, z) = map(float, source), map(float, target)
    one, two = math.sqrt(a * a + b * b + c * c), math.sqrt(x * x + y * y + z * z)
    a, b, c, x, y, z = a / one, b / one, c / one, x / two, y / two, z / two
    axis = b * z - c * y, c * x - a * z, a * y - b * x
    sine, cosine = math.hypot(*axis), a * x + b * y + c * z
    if sine > 1e-9:
        return rotation(axis, math.atan2(sine, cosine))
    if cosine > 0:
        return np.eye(3)
    return rotation(np.cross([a, b, c], np.eye(3)[np.argmin(np.abs([a, b, c]))]), np.pi)


@functools.cache
def _next_bones() -> dict[str, int]:
    rig = assets.rig()
    return {f"{bone}_{side}": rig.bone(f"{to}_{side}") for bone, to in _NEXT.items() for side in SIDES}


def bone_matrices(joints: np.ndarray, pose: Pose) -> np.ndarray:
    """The motion of every bone, [53, 3, 4], from the body at rest with `joints` [53, 3]: rotation and translation."""
    rig, following = assets.rig(), _next_bones()
    unknown = (set(pose.aims) - set(following)) | (set(pose.turns) - set(rig.bones))
    if unknown:
        raise ValueError(f"no such bone in a pose: {', '.join(sorted(unknown))}")
    motion = np.zeros((len(rig.bones), 3, 4))
    root = rotation((0, 1, 0), pose.yaw)
    for bone, (name, parent) in enumerate(zip(rig.bones, rig.parents, strict=True)):
        turn = motion[parent, :, :3] if parent >= 0 else root
        place = turn @ joints[bone] + motion[parent, :, 3] if parent >= 0 else joints[bone]
        if name in pose.aims:
            aim = pose.aims[name]
            towards = root @ np.asarray(aim.direction, float)
            turn = smallest_turn(turn @ (joints[following[name]] - joints[bone]), towards) @ turn
            turn = rotation(towards, aim.twist) @ turn
        elif name in pose.turns:
            turn = turn @ pose.turns[name]
        motion[bone, :, :3] = turn
        motion[bone, :, 3] = place - turn @ joints[bone]
    return motion


def skin(vertices: np.ndarray, weights: np.ndarray, motion: np.ndarray, *, plain: bool = False) -> np.ndarray:
    """Linear blend skinning: vertices [V, 3] with weights [V, 53] follow the bones' `motion` [53, 3, 4].

    Args: plain: in NumPy, though numba is installed.
    """
    blended = (weights @ motion.reshape(len(motion), 12).astype(weights.dtype)).reshape(-1, 3, 4)
    kernels = None if plain else compiled.kernels()
    if kernels is not None:
        found = np.empty((len(vertices), 3))
        kernels.move(blended, vertices, found)
        return found
    return np.einsum("vij,vj->vi", blended[:, :, :3], vertices) + blended[:, :, 3]


def posed_joints(joints: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Where the joints [53, 3] come to lie."""
    return np.einsum("bij,bj->bi", motion[:, :, :3], joints) + motion[:, :, 3]
