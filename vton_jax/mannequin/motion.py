"""How they move: single poses and motions, as functions of time.

Conventions: `time` in seconds; angles in radians; see `people.Pose`.
"""

import flax.struct
import jax
import jax.numpy as jnp

from vton_jax.mannequin.people import Draws, Pose


def _frame(draws: Draws) -> dict:
    """Where a person stands in the frame."""
    return {"x": 0.03 * draws.normal(), "y": 0.008 * draws.normal(), "zoom": 1 + 0.03 * draws.normal()}


def sample_pose(key: jax.Array) -> Pose:
    """A pose as catalogue videos show them: walking, standing, turned anywhere, arms hanging, bent or crossing."""
    draws = Draws(key)
    phase, stride = draws.fraction() * 2 * jnp.pi, draws.fraction() * 0.5
    yaw = draws.uniform(-jnp.pi, jnp.pi)
    left, right = draws.index(4), draws.index(4)
    arms = jnp.stack([left, jnp.where(draws.chance(0.5), left, right)])
    swing = stride * jnp.array([1.0, -1.0]) * jnp.sin(phase)
    # hanging and swinging, hand on hip, across the body, raised to the side
    flex = jnp.stack([-0.9 * swing, jnp.full(2, -0.25), jnp.full(2, 0.45), jnp.full(2, 0.2)])
    choose = lambda values: jnp.array(values)[arms]  # noqa: E731
    bend = jnp.clip(jnp.stack([jnp.sin(phase - 1.0), -jnp.sin(phase - 1.0)]), 0, 1)
    return Pose(
        yaw=yaw,
        lean=0.03 * draws.normal(),
        sway=0.03 * draws.normal(),
        head_yaw=0.25 * draws.normal(),
        head_pitch=0.08 * draws.normal(),
        shoulder_flex=jnp.take_along_axis(flex, arms[None], axis=0)[0] + 0.12 * draws.normal((2,)),
        shoulder_spread=jnp.maximum(choose((0.12, 0.6, 0.1, 0.75)) + 0.08 * draws.normal((2,)), 0.06),
        elbow=jnp.clip(choose((0.25, 1.75, 1.45, 0.5)) + 0.2 * draws.normal((2,)), 0.05, 2.2),
        forearm_turn=choose((0.2, 1.3, 1.0, 0.0)) + 0.15 * draws.normal((2,)),
        hip_flex=swing,
        hip_spread=jnp.full(2, 0.05),
        knee=stride * 1.1 * bend + 0.05,
        **_frame(draws),
    )


@flax.struct.dataclass
class Motion:
    """A catalogue walk: the person walks on the spot, turns once through 360 degrees, and may cross the arms."""

    phase: jax.Array
    stride: jax.Array
    pace: jax.Array  # steps a second
    start: jax.Array  # yaw at time 0
    turn: jax.Array  # +1 or -1
    period: jax.Array  # seconds a full turn takes
    cross: jax.Array  # 1: the arms cross the body once
    spread: jax.Array
    frame: dict


def sample_motion(key: jax.Array, seconds: float = 4.0) -> Motion:
    draws = Draws(key)
    return Motion(
        phase=draws.fraction() * 2 * jnp.pi,
        stride=draws.uniform(0.2, 0.45),
        pace=draws.uniform(0.8, 1.2),
        start=0.3 * draws.normal(),
        turn=jnp.where(draws.chance(0.5), -1.0, 1.0),
        period=jnp.asarray(seconds),
        cross=draws.chance(0.6).astype(jnp.float32),
        spread=draws.uniform(0.1, 0.25),
        frame=_frame(draws),
    )


def pose_at(motion: Motion, time: jax.Array) -> Pose:
    """The pose at `time` seconds: smooth, and periodic in `motion.period`."""
    cycle = time / motion.period
    # Slow at the front and back views, as people turn for a camera.
    angle = 2 * jnp.pi * cycle
    yaw = motion.start + motion.turn * (angle - 0.5 * jnp.sin(2 * angle) * 0.5)
    step = 2 * jnp.pi * motion.pace * time + motion.phase
    sides = jnp.array([1.0, -1.0])
    swing = motion.stride * sides * jnp.sin(step)
    bend = jnp.clip(jnp.stack([jnp.sin(step - 1.0), -jnp.sin(step - 1.0)]), 0, 1)
    crossing = motion.cross * jnp.exp(-jnp.square((cycle % 1.0 - 0.12) / 0.07))
    crossing = crossing + motion.cross * jnp.exp(-jnp.square((cycle % 1.0 - 0.88) / 0.07))
    ones = jnp.ones(2)
    return Pose(
        yaw=yaw,
        lean=0.02 * jnp.sin(step),
        sway=0.02 * jnp.cos(step),
        head_yaw=0.25 * jnp.sin(angle),
        head_pitch=jnp.zeros(()),
        shoulder_flex=-0.8 * swing * (1 - crossing) + 0.45 * crossing,
        shoulder_spread=motion.spread * ones * (1 - crossing) + 0.1 * crossing,
        elbow=(0.3 + 0.1 * jnp.sin(step)) * ones * (1 - crossing) + 1.45 * crossing,
        forearm_turn=0.2 * ones * (1 - crossing) + crossing,
        hip_flex=swing,
        hip_spread=0.04 * ones,
        knee=motion.stride * 1.1 * bend + 0.05,
        **motion.frame,
    )


def flat_pose(arms: float = 0.75) -> Pose:
    """How a garment lies on a table: seen from the front, sleeves straight and spread, legs slightly apart."""
    zero = jnp.zeros(())
    return Pose(
        yaw=zero, lean=zero, sway=zero, head_yaw=zero, head_pitch=zero,
        shoulder_flex=jnp.zeros(2), shoulder_spread=jnp.full(2, arms), elbow=jnp.zeros(2), forearm_turn=jnp.zeros(2),
        hip_flex=jnp.zeros(2), hip_spread=jnp.full(2, 0.08), knee=jnp.zeros(2),
        x=zero, y=zero, zoom=jnp.ones(()),
    )  # fmt: skip
