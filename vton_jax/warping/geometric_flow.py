"""Appearance flow from geometry alone: cloth as elliptic cylinders about the trunk and the limbs. Nothing is learnt.

A garment on the trunk is seen as an elliptic cylinder, a sleeve or a trouser leg as a round one. A target pixel at u
half widths from the axis shows the angle asin(u) - d of the cylinder, d = atan2(depth sin, cos) of the body's turn; the
donor shows that angle at sin(angle + d') half widths from its own axis. Along the axes the joints say what lies
where; a garment laid flat says it by its top and its hem. FlowRefinementCNN weighs this flow against ReMapCNN's. Not in
the talk.

Conventions: `Body` and parts: see body.py and body_map.py; one frame; `garment` bool [H, W] marks the garment.
"""

import dataclasses

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import geometry, segmentation
from vton_jax.core.batching import stacked, unstacked
from vton_jax.core.types import Garment, Layout
from vton_jax.layout import body_map, body_parts
from vton_jax.layout.body import PROPORTIONS, Body, body_of
from vton_jax.layout.body_map import FROM_TRUNK, IS_ARM, LIMB_RADII, LIMBS, Axis
from vton_jax.warping import blending


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Where cloth lies. Rows count lengths of the trunk from the neck; radii are the limbs'.

    Chosen by eye on capsule mannequins, from which FlowRefinementCNN then learned when to believe this flow.
    """

    # How a garment is measured.
    first_row: float = -0.4
    last_row: float = 3.4
    loose: float = 1.5  # an upper garment is at most this much wider than the trunk: beyond it are arms
    upper_ends: float = 1.1  # the row down to which it is one
    margin: float = 0.02  # quantile at which a garment's top and hem are read
    legs_begin: float = 1.3  # the row below which trouser legs are apart
    leg_reach: float = 2.5  # radii about a leg within which its cloth is looked at
    leg_width_at: float = 0.95  # quantile at which its half width is read
    leg_widths: tuple[float, float] = (1.1, 2.3)  # radii
    sleeve: float = 1.45  # half the width of a sleeve, and of a trouser leg that is not seen, in radii
    # What lies flat.
    lower_begins: float = 0.45  # a garment whose top is below this row is a lower one
    waist_above_hips: float = 0.09  # body heights: where a lower one hangs
    dress: float = 1.3  # a hem below this row is a dress's
    shortest: float = 0.05  # rows from top to hem
    shortest_leg: float = 5 / 256  # of the frame's height, from hip to hem
    # What of it is a limb's.
    limb_reach: float = 1.7  # cloth on an arm reaches this many radii from the bone
    beyond_leg: float = 0.3  # and on a leg as many beyond its half width
    shoulder: float = 0.2  # of the upper arm, as in `body_map.limb_place`: cloth here is a sleeve's even without one
    beyond_sleeve: float = 0.1
    beyond_joints: float = 0.3  # of a limb's length: how far beyond its joints it goes on
    in_front: float = 0.25  # sine of the turn beyond which one side's limbs are before the trunk, the other's behind it
    hidden_until: float = 1.15  # the row down to which the trunk hides them
    on_limb: float = 1.1  # radii: of limbs beside the trunk, what is farther is the trunk's
    thighs_begin: float = 1.0  # the row below which trousers are a leg's
    camera: float = 0.6  # radii that a limb wholly nearer to the camera is ahead of one beside it
    edge: float = 0.995  # half widths: at the very edge a cylinder is not seen


THRESHOLDS = Thresholds()
_ROWS = 40


def _side(body: Body) -> jax.Array:
    """How much nearer to the camera than the axis the limbs of each side are, [8]: the sine of the turn, signed."""
    right = jnp.asarray([limb[0].startswith("right") for limb in LIMBS])
    return jnp.where(right, body.turn[1], -body.turn[1])


def _axis(points: jax.Array, body: Body) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(row, side) of points [..., 2] about the axis of trunk and skirt, and the half width of a body there.

    Rows count lengths of the trunk from the neck; below the hips, legs: 1 is the hips, 1 + leg / trunk the ankles.
    Sides are in pixels, to the picture's right.
    """
    trunk = body_map.trunk_axis(body)
    (down, side), (beneath, skirt_side) = trunk.place(points), body_map.skirt_axis(body).place(points)
    fraction = down / trunk.length
    half, skirt_half = body_map.trunk_width(body, fraction), body_map.skirt_width(body)
    below = fraction > 1
    row = jnp.where(below, 1 + jnp.maximum(beneath, 0) / trunk.length, fraction)
    half = PROPORTIONS.trunk_half_width * jnp.where(below, skirt_half, half)
    return row, jnp.where(below, skirt_side, side), half


def _from_axis(row: jax.Array, side: jax.Array, body: Body) -> jax.Array:
    """The inverse of `_axis`: points [..., 2]."""
    trunk = body_map.trunk_axis(body)
    beneath = body_map.skirt_axis(body).point((row - 1) * trunk.length, side)
    return jnp.where((row > 1)[..., None], beneath, trunk.point(row * trunk.length, side))


def _profile(garment: jax.Array, row: jax.Array, side: jax.Array, half: jax.Array, arms: jax.Array) -> jax.Array:
    """Half widths [_ROWS] in pixels of trunk and skirt: the larger of the body's and the garment's own."""
    t = THRESHOLDS
    index = jnp.clip((row - t.first_row) / (t.last_row - t.first_row) * (_ROWS - 1), 0, _ROWS - 1)
    index = jnp.round(index).astype(jnp.int32).reshape(-1)
    cloth = garment & ((row > 1) | (arms > t.limb_reach) | (jnp.abs(side) < half))
    limit = jnp.where(row > t.upper_ends, jnp.inf, t.loose * half)
    own = jnp.where(cloth, jnp.minimum(jnp.abs(side) + 1, limit), 0)  # a pixel's other half, and what lies between rows
    own = jax.ops.segment_max(own.reshape(-1), index, _ROWS)
    body = jax.ops.segment_max(half.reshape(-1), index, _ROWS)
    widths = jnp.maximum(jnp.maximum(own, body), 1.0)
    widths = jnp.where(jnp.isfinite(widths), widths, 1.0)
    padded = jnp.pad(widths, 1, mode="edge")
    return 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]


def _width_at(row: jax.Array, profile: jax.Array) -> jax.Array:
    return jnp.interp(row, jnp.linspace(THRESHOLDS.first_row, THRESHOLDS.last_row, _ROWS), profile)


def _ends(garment: jax.Array, row: jax.Array, trunk: jax.Array) -> jax.Array:
    """The rows [2] of a garment's top and hem on the trunk."""
    values = jnp.where(garment & trunk, row, jnp.nan)
    ends = jnp.nanquantile(values.reshape(-1), jnp.array([THRESHOLDS.margin, 1 - THRESHOLDS.margin]))
    return jnp.where(jnp.isfinite(ends), ends, jnp.array([0.0, 1.0]))


def _leg_width(garment: jax.Array, near: jax.Array) -> jax.Array:
    """Half the width of trouser legs in radii of the legs, which they are `near` to, []."""
    t = THRESHOLDS
    width = jnp.nanquantile(jnp.where(garment & (near < t.leg_reach), near, jnp.nan).reshape(-1), t.leg_width_at)
    return jnp.where(jnp.isfinite(width), jnp.clip(width, *t.leg_widths), t.sleeve)


def _turned(body: Body, depth: float) -> jax.Array:
    return jnp.arctan2(depth * body.turn[1], body.turn[0])


def _around(u: jax.Array, target: jax.Array, source: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Where the source shows what the target shows at u half widths: there, and whether it faces the camera."""
    angle = jnp.arcsin(jnp.clip(u, -THRESHOLDS.edge, THRESHOLDS.edge)) - target + source
    shown = jnp.cos(angle) > 0
    return jnp.where(shown, jnp.sin(angle), jnp.sign(jnp.sin(angle))), shown


@flax.struct.dataclass
class Worn:
    """A garment on somebody, or on the invisible wearer of one that lies flat."""

    body: Body
    garment: jax.Array  # bool [H, W]


@flax.struct.dataclass
class _Measured:
    """A garment measured along its wearer."""

    body: Body
    garment: jax.Array  # bool [H, W]
    widths: jax.Array  # [_ROWS], see `_profile`
    leg_width: jax.Array  # [], see `_leg_width`
    top: jax.Array  # [], see `_ends`
    hem: jax.Array  # []
    trunk_length: jax.Array  # [] pixels


def _measured(worn: Worn) -> _Measured:
    body, garment = worn.body, worn.garment[::2, ::2]  # a quarter of the pixels measures a garment well enough
    some = geometry.grid(worn.garment.shape)[::2, ::2]
    all_near = body_map.limb_place(some, body)[0]
    near, leg_near = (jnp.where(kind[:, None, None], all_near, jnp.inf).min(0) for kind in (IS_ARM, ~IS_ARM))
    row, side, half = _axis(some, body)
    return _Measured(
        body,
        worn.garment,
        _profile(garment, row, side, half, near),
        _leg_width(garment & (row > THRESHOLDS.legs_begin), leg_near),
        *_ends(garment, row, (jnp.abs(side) < half) & ((near > THRESHOLDS.limb_reach) | (row > 1))),
        body_map.trunk_axis(body).length,
    )


def _on_trunk(
    row: jax.Array, side: jax.Array, target: _Measured, source: _Measured, flat: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Where trunk and skirt say that points `_axis` lie in the source, [H, W, 2], and whether it shows them."""
    depth = PROPORTIONS.trunk_depth
    turns = _turned(target.body, depth), _turned(source.body, depth)
    u, shown = _around(side / _width_at(row, target.widths), *turns)
    legs = (source.body.leg / source.trunk_length) / (target.body.leg / target.trunk_length)
    by_joints = jnp.where(row > 1, 1 + (row - 1) * legs, row)
    # An upper garment or a dress hangs from the neck joint, a lower garment from the waist, which is above the hips.
    lower = source.top > THRESHOLDS.lower_begins
    waist = THRESHOLDS.waist_above_hips * target.body.height / target.trunk_length
    top = jnp.where(lower, 1 - waist, 0.0)
    source_top = jnp.where(lower, source.top, 0.0)
    by_ends = source_top + (row - top) / jnp.maximum(target.hem - top, THRESHOLDS.shortest) * (source.hem - source_top)
    there = jnp.where(flat & (lower | (source.hem > THRESHOLDS.dress)), by_ends, by_joints)
    return _from_axis(there, u * _width_at(there, source.widths), source.body), shown


def _on_limbs(points: jax.Array, target: _Measured, source: _Measured, flat: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Where each limb says that target points [H, W, 2] lie in the source, [8, H, W, 2], and whether it is shown there.

    A limb that the source hides is read from the other side.
    """
    body, t = target.body, THRESHOLDS
    turns = _turned(body, 1.0), _turned(source.body, 1.0)
    read = body_map.limbs_read(source.body)
    # Of flat trousers: lengths from hip to hem, there over here.
    legs = [(garment.hem - 1) * garment.trunk_length for garment in (source, target)]
    leg_ratio = legs[0] / jnp.maximum(legs[1], t.shortest_leg * len(target.garment))

    def one(limb: jax.Array, here: Axis, there: Axis, before: jax.Array, hip: jax.Array):
        radii, is_arm = jnp.asarray(LIMB_RADII)[limb], jnp.asarray(IS_ARM)[limb]
        down, side = here.place(points)
        fraction = jnp.clip(down / here.length, -t.beyond_joints, 1 + t.beyond_joints)
        radius = radii[0] + (radii[1] - radii[0]) * jnp.clip(fraction, 0, 1)
        wide = [jnp.where(is_arm, t.sleeve, garment.leg_width) for garment in (target, source)]
        u, shown = _around(side / (radius * wide[0] * body.height), *turns)
        # Lying trousers do not show where the knees are: their legs reach from hip to hem in one line.
        lies = flat & ~is_arm
        start = jnp.where(lies, hip, there.start)
        place = jnp.where(lies, (before + down) * leg_ratio, fraction * there.length)
        return there.replace(start=start).point(place, u * radius * wide[1] * source.body.height), shown

    here, there = body_map.limb_axes(body), body_map.limb_axes(source.body, read)
    limb = np.arange(len(LIMBS))
    above = np.where(FROM_TRUNK, limb, limb - 1)  # the thigh above a shin
    before = jnp.where(FROM_TRUNK, 0.0, here.length[above])
    hips = body_map.limb_axes(source.body).start[above]
    return jax.vmap(one)(limb, here, there, before, hips)


def cylinder_flow(
    points: jax.Array, target: Worn, source: Worn, flat: jax.Array, trousers: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Backward flow [H, W, 2] at target points [H, W, 2] (pixels of both pictures), and whether the donor shows it.

    Args:
      points: need not be those of the garments' masks.
      target, source: the garment in the target layout, and the donor's.
      flat: []: the donor's garment lies alone, so that its joints are guesses and its own top and hem say more.
      trousers: bool [H, W]: target points that show a trouser leg rather than a skirt.
    """
    # A garment that lies alone lies with its front up, whatever its missing head and hands look like.
    turn = jnp.where(flat, jnp.array([1.0, 0.0]), source.body.turn)
    both = stacked(target, source.replace(body=source.body.replace(turn=turn)))
    target, source = unstacked(jax.vmap(_measured)(both), 2)
    row, side, _ = _axis(points, target.body)
    trunk, shown = _on_trunk(row, side, target, source, flat)
    limbs, limbs_shown = _on_limbs(points, target, source, flat)
    near, place = body_map.limb_place(points, target.body)
    sleeve = body_parts.covered_fraction(
        jnp.zeros(source.garment.shape, jnp.int32), source.body, source.garment, arms=True
    )

    # Of the limbs that a pixel is near to, the one nearer to the camera; and it or the trunk likewise.
    t, nearer = THRESHOLDS, _side(target.body)[:, None, None]
    inside_trunk = jnp.abs(side) < _width_at(row, target.widths)
    hidden = inside_trunk & (row < t.hidden_until) & (nearer < -t.in_front)
    beside = inside_trunk & (jnp.abs(nearer) < t.in_front) & (near > t.on_limb)
    arms = IS_ARM[:, None, None]
    reach_of = jnp.where(arms, t.limb_reach, target.leg_width + t.beyond_leg)
    sleeved = place < jnp.maximum(sleeve, t.shoulder) + t.beyond_sleeve
    allowed = jnp.where(arms, sleeved & ~hidden & ~beside, trousers & (row > t.thighs_begin)) & (near < reach_of)
    rank = jnp.where(allowed, near - t.camera * nearer, jnp.inf)
    best = jnp.argmin(rank, 0)[None]
    on_limb = allowed.any(0)
    there = jnp.where(on_limb[..., None], jnp.take_along_axis(limbs, best[..., None], 0)[0], trunk)
    shown = jnp.where(on_limb, jnp.take_along_axis(limbs_shown, best, 0)[0], shown)
    return there - points, shown


def first_flow(target: Layout, garment: Garment) -> tuple[jax.Array, jax.Array]:
    """`cylinder_flow` of a batch at a quarter of the resolution: flow [B, H/4, W/4, 2] in pixels there, shown bool.

    Args: target: layouts [B]; garment: with an axis B; its image is not looked at.
    """
    size = target.segmentation.shape[1:]
    points = geometry.grid((size[0] // 4, size[1] // 4)) * 4 + 1.5

    def one(target: Layout, donor: Layout, kind: jax.Array, flat: jax.Array):
        bodies = unstacked(jax.vmap(lambda layout: body_of(layout, size))(stacked(target, donor)), 2)
        worn, lent = (
            Worn(body, mask(layout.segmentation[None].astype(jnp.int32), kind[None])[0])
            for body, layout, mask in zip(
                bodies, (target, donor), (blending.target_mask, blending.garment_mask), strict=True
            )
        )
        trousers = target.segmentation[2::4, 2::4] == segmentation.ID["pants"]
        flow, shown = cylinder_flow(points, worn, lent, flat, trousers)
        return flow / 4, shown

    return jax.vmap(one)(target, garment.layout, garment.garment_type, garment.flat)
