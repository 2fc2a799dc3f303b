"""The invisible person who wears a garment that lies flat: a body fitted to the joints that were read in it.

Single joints that were misread cannot fold a garment: a body of usual proportions, upright or turned in the picture but
never mirrored, is laid through all of them, and those far from it are left.

Conventions: joints are [18, 2], (x, y) in pixels, in OpenPose's order; the garment's front is up, so that the wearer's
left is at the right of the picture. Lengths are in body heights, as in body.py. NumPy.
"""

import dataclasses

import numpy as np

from vton_jax.core.keypoints import ID, NUM_JOINTS
from vton_jax.layout.body import PROPORTIONS as BODY

KINDS = ("upper", "lower", "dress")  # an outfit of several pieces does not lie flat as one


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """How joints are believed. By thought, on no picture."""

    probable: float = 0.5  # from which a joint is used
    near: float = 0.06  # body heights: how far joints usually lie from the fitted body
    astray: float = 0.12  # farther ones are replaced by it
    rounds: int = 8
    least: int = 2  # joints of which a body is made
    limb: tuple[float, float] = (0.5, 1.5)  # of a limb's length, between which a joint of it is believed
    # Cloth beside a shoulder is a sleeve's: from here on aside and down to here, in body heights, if it is so much.
    sleeve_aside: float = 0.015
    sleeve_down: float = 0.14
    sleeve_least: float = 0.0015  # square body heights
    bare: complex = 1 + 0.1j  # where an arm goes that no sleeve shows, aside and down: clear of the cloth


THRESHOLDS = Thresholds()
_TRUNK = ("neck", "left-shoulder", "right-shoulder", "left-hip", "right-hip")
_LEGS = ("left-hip", "right-hip", "left-knee", "right-knee", "left-ankle", "right-ankle")
_USED = {"upper": _TRUNK, "lower": _LEGS, "dress": _TRUNK + _LEGS[2:]}


def _standing() -> dict[str, np.ndarray]:
    """A body's joints about its neck, in body heights."""
    found = {"neck": np.zeros(2)}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        found[f"{side}-shoulder"] = np.array([sign * BODY.shoulder_distance / 2, BODY.neck_to_shoulders])
        for name, down in (("hip", 0.0), ("knee", BODY.thigh), ("ankle", BODY.thigh + BODY.shin)):
            found[f"{side}-{name}"] = np.array([sign * BODY.hip_distance / 2, BODY.torso + down])
    return found


_BODY = _standing()


def _complex(points: np.ndarray) -> np.ndarray:
    return points[..., 0] + 1j * points[..., 1]


def _similarity(body: np.ndarray, seen: np.ndarray, weights: np.ndarray) -> tuple[complex, complex]:
    """(turn and scale, shift) that bring places of a body nearest to what was seen, by weighted squares."""
    total = max(float(weights.sum()), 1e-9)
    middle, there = (weights * body).sum() / total, (weights * seen).sum() / total
    apart = body - middle
    scale = (weights * (seen - there) * apart.conj()).sum() / max(float((weights * abs(apart) ** 2).sum()), 1e-9)
    return scale, there - scale * middle


def wearer(
    points: np.ndarray, probability: np.ndarray, kind: str, mask: np.ndarray, *, sleeveless: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The wearer's joints [18, 2] and which are given, bool [18]: those that the garment of a kind covers.

    An upper garment shows arms and hips, a dress the legs too, a lower garment hips and legs; the head is missing. All
    are missing where fewer than `THRESHOLDS.least` were read.

    Args: points [18, 2], as read. probability [18], that each lies on the garment. kind: of `KINDS`. mask: bool [H, W],
    the garment, which shows where a sleeve goes that ends above the elbow. sleeveless: arms are clear of the cloth.
    Raises: ValueError for another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"garment kind {kind!r} is none of {', '.join(KINDS)}.")
    t, found = THRESHOLDS, {}
    names = [name for name in _USED[kind] if probability[ID[name]] > t.probable]
    if len(names) >= t.least:
        body = _complex(np.stack([_BODY[name] for name in names]))
        seen = _complex(np.stack([points[ID[name]] for name in names]))
        sure = np.array([probability[ID[name]] for name in names])
        weights = sure
        for _ in range(t.rounds):
            scale, shift = _similarity(body, seen, weights)
            away = abs(scale * body + shift - seen) / max(abs(scale), 1e-6)
            weights = sure / (1 + (away / t.near) ** 2)
        for name in _USED[kind]:
            place = scale * _complex(_BODY[name]) + shift
            read = _complex(points[ID[name]])
            believed = probability[ID[name]] > t.probable and abs(read - place) < t.astray * abs(scale)
            found[name] = read if believed else place
        if kind != "lower":
            for side, sign in (("left", 1.0), ("right", -1.0)):
                ahead = _sleeve(mask & (not sleeveless), found[f"{side}-shoulder"], scale, sign)
                found |= _arm(found[f"{side}-shoulder"], points, probability, side=side, scale=scale, ahead=ahead)
    joints, given = np.zeros((NUM_JOINTS, 2), np.float32), np.zeros(NUM_JOINTS, bool)
    for name, place in found.items():
        joints[ID[name]], given[ID[name]] = (place.real, place.imag), True
    return joints, given


def _sleeve(mask: np.ndarray, shoulder: complex, scale: complex, sign: float) -> complex:
    """Where a sleeve goes from a shoulder, of unit length: to the middle of the cloth beside it."""
    row, column = np.nonzero(mask)
    beside = (column + 1j * row - shoulder) / scale  # in body heights, upright
    t = THRESHOLDS
    here = (sign * beside.real > t.sleeve_aside) & (abs(beside.imag) < t.sleeve_down)
    enough = here.sum() > t.sleeve_least * abs(scale) ** 2
    ahead = beside[here].mean() if enough else sign * t.bare.real + 1j * t.bare.imag
    ahead = ahead * scale
    return ahead / abs(ahead)


def _arm(
    shoulder: complex, points: np.ndarray, probability: np.ndarray, *, side: str, scale: complex, ahead: complex
) -> dict[str, complex]:
    """Elbow and wrist of a side: where they were read, else on along the arm."""
    start, arm = shoulder, {}
    for name, length in (("elbow", BODY.upper_arm), ("wrist", BODY.forearm)):
        joint = f"{side}-{name}"
        read, length = _complex(points[ID[joint]]), length * abs(scale)
        low, high = (part * length for part in THRESHOLDS.limb)
        if probability[ID[joint]] > THRESHOLDS.probable and low < abs(read - start) < high:
            ahead, arm[joint] = (read - start) / abs(read - start), read
        else:
            arm[joint] = start + length * ahead
        start = arm[joint]
    return arm
