"""People made of capsules, whose layouts and joints are known, for the tests of layouts."""

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import geometry, segmentation
from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.keypoints import NUM_JOINTS
from vton_jax.core.segmentation import ID
from vton_jax.core.types import Layout
from vton_jax.layout import body_map, coarse_map
from vton_jax.layout.body import PROPORTIONS, body_of
from vton_jax.layout.tucking import TUCKS

SIZE = (256, 192)


# Compiled whole, once for all tests of a process: each operation by itself takes longer to compile than to run.
_compose = jax.jit(coarse_map.coarse_target_segmentation)


@jax.jit
def _places(layout: Layout) -> tuple:
    body = body_of(layout, SIZE)
    points = geometry.grid(SIZE)
    return body, body_map.limb_place(points, body), body_map.trunk_coordinates(points, body)


def compose(
    user: Layout,
    donor: Layout,
    pose: Layout,
    kind: int,
    *,
    beside: Layout | None = None,
    tuck: str = "auto",
    sleeves: tuple[float, float] = (0.0, 2.0),
):
    """`coarse_target_segmentation`, its arguments always of the same types, so that it is compiled once a size."""
    besides = beside or user, jnp.int32(TUCKS.index(tuck)), jnp.float32(sleeves)
    return _compose(user, donor, pose, jnp.int32(kind), besides)


def places(layout: Layout) -> tuple:
    """(body, (near, place) of all limbs, (fraction, across) of the trunk), see `body_map`."""
    return jax.tree.map(np.asarray, _places(Layout(None, layout.keypoints, layout.visible)))


def standing(turn: float = 0.0, height: float = 215.0, top: float = 20.0, x: float = 96.0) -> tuple:
    """Keypoints of a person standing with arms spread, facing the camera (turn 0) or away (pi)."""
    p, cosine, sine = PROPORTIONS, np.cos(turn), np.sin(turn)
    keypoints, visible = np.zeros((NUM_JOINTS, 2), np.float32), np.ones(NUM_JOINTS, bool)
    neck = top + 0.2 * height
    put = lambda name, left, down, front=0.0: keypoints.__setitem__(  # noqa: E731
        JOINTS[name], (x + height * (left * cosine + front * sine), neck + height * down)
    )
    put("neck", 0, 0)
    for side, sign in (("left", 1), ("right", -1)):
        put(f"{side}-shoulder", sign * p.shoulder_distance / 2, p.neck_to_shoulders)
        put(f"{side}-elbow", sign * 0.20, 0.14)
        put(f"{side}-wrist", sign * 0.28, 0.26)
        put(f"{side}-hip", sign * p.hip_distance / 2, p.torso)
        put(f"{side}-knee", sign * 0.07, p.torso + p.thigh)
        put(f"{side}-ankle", sign * 0.07, p.torso + p.thigh + p.shin)
    head = -p.neck_to_head
    put("nose", 0, head + 0.015, 0.08)
    for side, sign in (("left", 1), ("right", -1)):
        put(f"{side}-eye", sign * 0.025, head - 0.01, 0.064)
        put(f"{side}-ear", sign * 0.058, head)
    if cosine < 0:
        visible[[JOINTS[n] for n in ("nose", "left-eye", "right-eye")]] = False
    keypoints[~visible] = 0
    return keypoints, visible


def person(
    sleeve: float, hem: float, lower: str = "pants", turn: float = 0.0, shoe_top: float | None = None, **where
) -> Layout:
    """A layout of capsules: sleeves to `sleeve` (a limb's place, 0..2), trousers or a skirt to `hem` on the legs.

    Shoes reach from `shoe_top` (a shin's place, 1..2) over the ankle's end; None: bare feet.
    """
    keypoints, visible = standing(turn, **where)
    body, (near, place), (fraction, across) = places(Layout(None, keypoints, visible))
    canvas = np.zeros(SIZE, np.uint8)
    for i, label in enumerate(body_map.LIMB_LABEL):
        on, clothed = near[i] < 1, place[i] < (sleeve if body_map.IS_ARM[i] else hem)
        cloth = ID["upper-clothes"] if body_map.IS_ARM[i] else ID["pants"]
        worn = clothed & (lower == "pants" or body_map.IS_ARM[i])
        if shoe_top is not None and i in body_map.SHINS:
            label = np.where(place[i] > shoe_top, segmentation.SHOES[list(body_map.SHINS).index(i)], label)
        canvas = np.where(on, np.where(worn, cloth, label), canvas)
    if lower == "skirt":
        canvas = np.where((fraction > 0.9) & (fraction < 1 + hem * 0.85) & (np.abs(across) < 1.2), ID["skirt"], canvas)
    trunk = (np.abs(across) < 0.85) & (fraction > 0)
    canvas = np.where(trunk & (fraction < 1.12) & (fraction > 0.85), ID[lower], canvas)
    canvas = np.where(trunk & (fraction < 0.9), ID["upper-clothes"], canvas)
    offset = (np.asarray(geometry.grid(SIZE)) - body.head) / body.height / (0.06, 0.085)
    skull = (offset**2).sum(-1) < 1
    face = skull & (offset[..., 1] > -0.4) & (np.abs(offset[..., 0]) < 0.8) & (np.cos(turn) > 0)
    canvas = np.where(skull, np.where(face, ID["face"], ID["hair"]), canvas)
    return Layout(canvas.astype(np.uint8), keypoints, visible)
