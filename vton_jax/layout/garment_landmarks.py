"""Landmarks of a garment lying flat, and the joints of the invisible person who wears it.

Alphabet: landmarks are [12, 2] floats, (x, y) in pixels, in the order of `LANDMARKS`, with `present` bool [12]; a
missing one is (0, 0) and False. Left and right are the wearer's own: in a picture from the front the wearer's left is
on the right. Lengths are shares of the wearer's body height, see `PROPORTIONS` here and in alignment.py.
"""

import jax
import jax.numpy as jnp

from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.layout.alignment import PROPORTIONS as BODY

LANDMARKS = (
    "neck-left", "neck-right", "shoulder-left", "shoulder-right", "cuff-left-outer", "cuff-left-inner",
    "cuff-right-outer", "cuff-right-inner", "waist-left", "waist-right", "hem-left", "hem-right",
)  # fmt: skip
KINDS = ("upper", "lower", "dress")  # an outfit of several pieces does not lie flat as one
NUM_LANDMARKS = len(LANDMARKS)
ID = {name: index for index, name in enumerate(LANDMARKS)}

# Where landmarks lie on the wearer: what the cloth adds around the joints.
PROPORTIONS = {
    "shoulder_above_neck": 0.017,  # the top of the shoulder seam above the neck joint
    "shoulder_above_joint": 0.03,
    "shoulder_to_waist": 0.192,  # of upper garments and dresses
    "waist_to_hips": 0.09,  # of lower garments
    "waist_width": 0.16,
    "waist_to_ankles": 0.57,  # of full-length trousers
    "long": 0.46,  # a lower garment longer than this is full length
}


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
    points, present = jnp.asarray(landmarks, jnp.float32), jnp.asarray(present, bool)
    at = lambda name: points[ID[name]]  # noqa: E731
    has = lambda *names: jnp.stack([present[ID[n]] for n in names]).all()  # noqa: E731
    middle = lambda name: 0.5 * (at(f"{name}-left") + at(f"{name}-right"))  # noqa: E731
    distance = lambda a, b: jnp.sqrt(jnp.sum(jnp.square(a - b)) + 1e-9)  # noqa: E731
    sides = ("left", "right")
    waist, hem = has("waist-left", "waist-right"), has("hem-left", "hem-right")
    joints: dict[str, jax.Array] = {}

    if kind == "lower":
        usable, top = waist, middle("waist")
        bottom = jnp.where(hem, middle("hem"), top + jnp.array([0.0, 1.0]))
        height = distance(at("waist-left"), at("waist-right")) / PROPORTIONS["waist_width"]
        length = distance(top, bottom)
        # The waist's width alone says little of a stout person's height; full-length trousers say it better.
        full = length / PROPORTIONS["waist_to_ankles"]
        height = jnp.where(hem & (length > PROPORTIONS["long"] * height), 0.5 * (height + full), height)
        hips = top + PROPORTIONS["waist_to_hips"] * height * _unit(bottom - top)
        pair = "waist"
    else:
        usable, top = has("shoulder-left", "shoulder-right"), middle("shoulder")
        bottom = jnp.where(waist, middle("waist"), jnp.where(hem, middle("hem"), top + jnp.array([0.0, 1.0])))
        by_width = distance(at("shoulder-left"), at("shoulder-right")) / BODY["shoulder_distance"]
        by_length = distance(top, bottom) / PROPORTIONS["shoulder_to_waist"]
        height = jnp.where(waist, 0.3 * by_width + 0.7 * by_length, by_width)
        joints["neck"] = top + PROPORTIONS["shoulder_above_neck"] * height * _unit(bottom - top)
        hips = joints["neck"] + BODY["torso"] * height * _unit(bottom - top)
        pair = "shoulder"
    down = _unit(bottom - top)
    across = _unit(at(f"{pair}-left") - at(f"{pair}-right"))

    for side, sign in zip(sides, (1.0, -1.0), strict=True):
        hip = hips + sign * 0.5 * BODY["hip_distance"] * height * across
        joints[f"{side}-hip"] = hip
        if kind != "upper":
            joints[f"{side}-knee"] = hip + BODY["thigh"] * height * _unit(down + 0.06 * sign * across)
            joints[f"{side}-ankle"] = hip + (BODY["thigh"] + BODY["shin"]) * height * _unit(down + 0.06 * sign * across)
        if kind == "lower":
            continue
        shoulder = at(f"shoulder-{side}") + PROPORTIONS["shoulder_above_joint"] * height * down
        cuff = 0.5 * (at(f"cuff-{side}-outer") + at(f"cuff-{side}-inner"))
        sleeve = cuff - shoulder
        # A sleeveless garment's armhole says nothing of the arm.
        tells = has(f"cuff-{side}-outer", f"cuff-{side}-inner") & (distance(cuff, shoulder) > 0.04 * height)
        arm = _unit(jnp.where(tells, sleeve, down + 0.5 * sign * across))
        joints[f"{side}-shoulder"] = shoulder
        joints[f"{side}-elbow"] = shoulder + BODY["upper_arm"] * height * arm
        joints[f"{side}-wrist"] = shoulder + (BODY["upper_arm"] + BODY["forearm"]) * height * arm

    keypoints, visible = jnp.zeros((len(JOINTS), 2)), jnp.zeros(len(JOINTS), bool)
    for name, place in joints.items():
        keypoints = keypoints.at[JOINTS[name]].set(jnp.where(usable, place, 0.0))
        visible = visible.at[JOINTS[name]].set(usable)
    return keypoints, visible
