"""Landmarks of a garment lying flat, and the joints of the invisible person who wears it.

Conventions: landmarks are [12, 2] floats, (x, y) in pixels, in the order of `LANDMARKS`, with `present` bool [12]; a
missing one is (0, 0) and False. Left and right are the wearer's own: in a picture from the front the wearer's left is
on the right. Lengths are fractions of the wearer's body height, see `PROPORTIONS` here and in body.py.
"""

import dataclasses

import jax
import jax.numpy as jnp

from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.layout.body import PROPORTIONS as BODY

LANDMARKS = (
    "neck-left", "neck-right", "shoulder-left", "shoulder-right", "cuff-left-outer", "cuff-left-inner",
    "cuff-right-outer", "cuff-right-inner", "waist-left", "waist-right", "hem-left", "hem-right",
)  # fmt: skip
KINDS = ("upper", "lower", "dress")  # an outfit of several pieces does not lie flat as one
NUM_LANDMARKS = len(LANDMARKS)
ID = {name: index for index, name in enumerate(LANDMARKS)}


@dataclasses.dataclass(frozen=True)
class Proportions:
    """Where landmarks lie on the wearer, in body heights: what the cloth adds around the joints.

    Chosen on the mannequins' garments, whose wearers' joints it finds to .05 (tests/layout/test_garment_landmarks.py).
    """

    shoulder_above_neck: float = 0.017  # the top of the shoulder seam above the neck joint
    shoulder_above_joint: float = 0.03
    shoulder_to_waist: float = 0.192  # of upper garments and dresses
    waist_to_hips: float = 0.09  # of lower garments
    waist_width: float = 0.16
    waist_to_ankles: float = 0.57  # of full-length trousers
    long: float = 0.46  # a lower garment longer than this is full length
    shoulders_say: float = 0.3  # of an upper garment's scale; the length to the waist says the rest
    length_says: float = 0.7
    sleeve: float = 0.04  # an armhole that is nearer to the shoulder is no sleeve's end
    # Directions, aside over down: of legs, and of arms that no sleeve shows.
    legs_apart: float = 0.06
    arms_apart: float = 0.5


PROPORTIONS = Proportions()


@dataclasses.dataclass(frozen=True)
class _Seen:
    """The landmarks of one garment."""

    points: jax.Array  # [12, 2]
    present: jax.Array  # [12]

    def at(self, name: str) -> jax.Array:
        return self.points[ID[name]]

    def has(self, *names: str) -> jax.Array:
        return jnp.stack([self.present[ID[name]] for name in names]).all()

    def middle(self, name: str) -> jax.Array:
        return 0.5 * (self.at(f"{name}-left") + self.at(f"{name}-right"))

    def width(self, name: str) -> jax.Array:
        return _distance(self.at(f"{name}-left"), self.at(f"{name}-right"))


def _distance(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(jnp.square(a - b)) + 1e-9)


def _unit(vector: jax.Array) -> jax.Array:
    return vector / jnp.sqrt(jnp.sum(jnp.square(vector)) + 1e-9)


def keypoints_from_landmarks(landmarks: jax.Array, present: jax.Array, kind: str) -> tuple[jax.Array, jax.Array]:
    """The wearer's joints: keypoints [18, 2] and visible [18], as a `types.Layout` of a donor needs them.

    Args: landmarks [12, 2] and present [12] of one garment; kind: 'upper', 'lower' or 'dress'.
    An upper garment shows arms and hips, a dress the legs too, a lower garment hips and legs; the head is missing.
    Where the shoulders (or, of a lower garment, the waist) are absent, nothing can be said: all joints are missing.
    Raises: ValueError for another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"garment kind {kind!r} is none of {', '.join(KINDS)}.")
    seen = _Seen(jnp.asarray(landmarks, jnp.float32), jnp.asarray(present, bool))
    pair, measure = ("waist", _measure_lower) if kind == "lower" else ("shoulder", _measure_upper)
    top, usable = seen.middle(pair), seen.has(f"{pair}-left", f"{pair}-right")
    height, bottom = measure(seen, top)
    down, across = _unit(bottom - top), _unit(seen.at(f"{pair}-left") - seen.at(f"{pair}-right"))
    joints: dict[str, jax.Array] = {}
    if kind == "lower":
        hips = top + PROPORTIONS.waist_to_hips * height * down
    else:
        joints["neck"] = top + PROPORTIONS.shoulder_above_neck * height * down
        hips = joints["neck"] + BODY.torso * height * down
    for side, sign in (("left", 1.0), ("right", -1.0)):
        hip = hips + sign * 0.5 * BODY.hip_distance * height * across
        joints[f"{side}-hip"] = hip
        if kind != "upper":
            leg = _unit(down + PROPORTIONS.legs_apart * sign * across)
            joints[f"{side}-knee"] = hip + BODY.thigh * height * leg
            joints[f"{side}-ankle"] = hip + (BODY.thigh + BODY.shin) * height * leg
        if kind != "lower":
            joints |= _arm(seen, side, height, down, down + PROPORTIONS.arms_apart * sign * across)
    keypoints, visible = jnp.zeros((len(JOINTS), 2)), jnp.zeros(len(JOINTS), bool)
    for name, place in joints.items():
        keypoints = keypoints.at[JOINTS[name]].set(jnp.where(usable, place, 0.0))
        visible = visible.at[JOINTS[name]].set(usable)
    return keypoints, visible


def _measure_lower(seen: _Seen, top: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The body height of a lower garment's wearer in pixels, and a point straight below its `top`, [] and [2]."""
    hem = seen.has("hem-left", "hem-right")
    bottom = jnp.where(hem, seen.middle("hem"), top + jnp.array([0.0, 1.0]))
    height, length = seen.width("waist") / PROPORTIONS.waist_width, _distance(top, bottom)
    # The waist's width alone says little of a stout person's height; full-length trousers say it better.
    full = length / PROPORTIONS.waist_to_ankles
    return jnp.where(hem & (length > PROPORTIONS.long * height), 0.5 * (height + full), height), bottom


def _measure_upper(seen: _Seen, top: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The same of an upper garment or a dress."""
    waist, hem = (seen.has(f"{name}-left", f"{name}-right") for name in ("waist", "hem"))
    bottom = jnp.where(waist, seen.middle("waist"), jnp.where(hem, seen.middle("hem"), top + jnp.array([0.0, 1.0])))
    by_width = seen.width("shoulder") / BODY.shoulder_distance
    by_length = _distance(top, bottom) / PROPORTIONS.shoulder_to_waist
    return jnp.where(
        waist, PROPORTIONS.shoulders_say * by_width + PROPORTIONS.length_says * by_length, by_width
    ), bottom


def _arm(seen: _Seen, side: str, height: jax.Array, down: jax.Array, guess: jax.Array) -> dict[str, jax.Array]:
    """Shoulder, elbow and wrist of one side; guess: where the arm goes [2] if no sleeve says it."""
    shoulder = seen.at(f"shoulder-{side}") + PROPORTIONS.shoulder_above_joint * height * down
    cuff = 0.5 * (seen.at(f"cuff-{side}-outer") + seen.at(f"cuff-{side}-inner"))
    # A sleeveless garment's armhole says nothing of the arm.
    tells = seen.has(f"cuff-{side}-outer", f"cuff-{side}-inner") & (
        _distance(cuff, shoulder) > PROPORTIONS.sleeve * height
    )
    arm = _unit(jnp.where(tells, cuff - shoulder, guess))
    return {
        f"{side}-shoulder": shoulder,
        f"{side}-elbow": shoulder + BODY.upper_arm * height * arm,
        f"{side}-wrist": shoulder + (BODY.upper_arm + BODY.forearm) * height * arm,
    }
