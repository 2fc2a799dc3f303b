"""Motion between stances: somebody walks, turns once round before the camera and takes a stance on the way.

Conventions: a pose is a smooth function of the time in seconds. Between two poses directions of limbs move along great
circles and turns about one axis, so that bones keep their lengths, as in any pose.
"""

import dataclasses

import numpy as np

from vton_jax.catalogue import poses
from vton_jax.catalogue.skeleton import Aim, Pose, rotation, smallest_turn

_AT, _WIDTH = 0.5, 0.11  # when in a turn the stance is met, and how long it lasts, as parts of the period
_LINGERS = 0.25  # how much slower than evenly somebody turns at the front and at the back, as people do for a camera


def _towards(one: np.ndarray, two: np.ndarray, part: float) -> np.ndarray:
    """The direction [3] a part of the way from one to another, along the great circle."""
    one, two = (np.asarray(direction, float) / np.linalg.norm(direction) for direction in (one, two))
    whole = smallest_turn(one, two)
    axis, angle = axis_and_angle(whole)
    return rotation(axis, part * angle) @ one


def axis_and_angle(turn: np.ndarray) -> tuple[np.ndarray, float]:
    """The axis [3] of a rotation matrix [3, 3] and its angle, 0 to pi."""
    angle = float(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))
    if angle < 1e-6:
        return np.array([0.0, 1.0, 0.0]), 0.0
    if angle < np.pi - 1e-4:
        axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
        return axis / np.linalg.norm(axis), angle
    square = (turn + np.eye(3)) / 2  # the axis times itself
    column = square[:, np.argmax(np.diag(square))]
    return column / np.linalg.norm(column), angle


def between(one: Pose, two: Pose, part: float) -> Pose:
    """The pose a part (0 to 1) of the way from one to another; both name the same bones."""
    aims, turns = {}, {}
    for name, first in one.aims.items():
        second = two.aims[name]
        direction = _towards(np.array(first.direction), np.array(second.direction), part)
        aims[name] = Aim(tuple(map(float, direction)), (1 - part) * first.twist + part * second.twist)
    for name in one.turns.keys() | two.turns.keys():
        first, second = one.turns.get(name, np.eye(3)), two.turns.get(name, np.eye(3))
        axis, angle = axis_and_angle(second @ first.T)
        turns[name] = rotation(axis, part * angle) @ first
    return Pose(aims, turns, (1 - part) * one.yaw + part * two.yaw)


@dataclasses.dataclass(frozen=True)
class Motion:
    """A walk on the spot with a turn of 360 degrees, and back at its beginning after `period` seconds but for the step
    and the turn."""

    stance: Pose  # taken once
    period: float
    phase: float  # of the walk, at the beginning
    pace: float  # double steps a second
    stride: float  # of `poses.walk`
    start: float  # yaw at the beginning
    direction: int  # 1: to the picture's right first, -1: to its left


def sample(generator: np.random.Generator, period: float = 4.0) -> Motion:
    """Args: period: seconds that the turn takes."""
    return Motion(
        poses.sample_stance(generator), period, float(generator.uniform(0, 2 * np.pi)),
        float(generator.uniform(0.8, 1.2)), float(generator.uniform(0.5, 0.9)), float(0.3 * generator.normal()),
        int(generator.choice([-1, 1])),
    )  # fmt: skip


def pose_at(motion: Motion, time: float) -> Pose:
    """The pose at `time` seconds."""
    turn = 2 * np.pi * time / motion.period
    walk = poses.walk(2 * np.pi * motion.pace * time + motion.phase, motion.stride)
    apart = (time / motion.period - _AT + 0.5) % 1 - 0.5
    pose = between(walk, motion.stance, float(np.exp(-np.square(apart / _WIDTH))))
    return pose.turned(motion.start + motion.direction * float(turn - _LINGERS * np.sin(2 * turn)))
