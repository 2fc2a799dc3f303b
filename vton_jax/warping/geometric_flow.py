"""Appearance flow from geometry alone: cloth as elliptic cylinders about the trunk and the limbs. Nothing is learnt.

A garment on the trunk is seen as an elliptic cylinder, a sleeve or a trouser leg as a round one. A target pixel at u
half widths from the axis shows the angle asin(u) - d of the cylinder, d = atan2(depth sin, cos) of the body's turn; the
donor shows that angle at sin(angle + d') half widths from its own axis. Along the axes the joints say what lies
where; a garment laid flat says it by its top and its hem. FlowRefinementCNN weighs this flow against ReMapCNN's. Not in
the talk.

Alphabet: see alignment.py, whose `Body` and parts these are; one frame; `garment` bool [H, W] marks the garment.
"""

import jax
import jax.numpy as jnp

from vton_jax.core import geometry, segmentation
from vton_jax.layout import alignment, garment_landmarks
from vton_jax.layout.alignment import FIRST, LIMBS, PROPORTIONS, SECOND, Body
from vton_jax.warping import blending

_ROWS, _FIRST_ROW, _LAST_ROW = 40, -0.4, 3.4  # rows of a garment along its axis, in lengths of the trunk from the neck
_LOOSE = 1.5  # an upper garment is at most this much wider than the trunk: beyond it are arms
_SLEEVE = 1.45  # half the width of a sleeve, and of a trouser leg that is not seen, in radii of the limb
_LIMB_REACH = 1.7  # cloth on a limb reaches this many radii from the bone
_SHOULDER = 0.2  # of the upper arm, as in `alignment.limb_place`: cloth here is a sleeve's even where there is none
_IN_FRONT = 0.25  # sine of the turn beyond which one side's limbs are before the trunk, the other's behind it
_WAIST_TO_HIPS = garment_landmarks.PROPORTIONS["waist_to_hips"]
_DRESS = 1.3  # a hem below this row is a dress's
_FLAT_MARGIN = 0.02  # quantile at which a garment's top and hem are read


def _side(body: Body) -> jax.Array:
    """How much nearer to the camera than the axis the limbs of each side are, [8]: the sine of the turn, signed."""
    right = jnp.asarray([limb[0].startswith("right") for limb in LIMBS])
    return jnp.where(right, body.turn[1], -body.turn[1])


def _axis(points: jax.Array, body: Body) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(row, side) of points [..., 2] about the axis of trunk and skirt, and the half width of a body there.

    Rows count lengths of the trunk from the neck; below the hips, legs: 1 is the hips, 1 + leg / trunk the ankles.
    Sides are in pixels, to the picture's right.
    """
    share, across = alignment.trunk_coordinates(points, body)
    half = PROPORTIONS["trunk_half_width"] * alignment.trunk_width(body, share)
    along, over = alignment.skirt_axes(body)
    relative = points - body.hips
    down, side = alignment.dot(relative, along), alignment.dot(relative, over)
    _, _, length = alignment.trunk_axes(body)
    below = share > 1
    row = jnp.where(below, 1 + jnp.maximum(down, 0) / length, share)
    skirt_half = PROPORTIONS["trunk_half_width"] * alignment.skirt_width(body)
    return row, jnp.where(below, side, across * half), jnp.where(below, skirt_half, half)


def _from_axis(row: jax.Array, side: jax.Array, body: Body) -> jax.Array:
    """The inverse of `_axis`: points [..., 2]."""
    along, across, length = alignment.trunk_axes(body)
    low, over = alignment.skirt_axes(body)
    above = body.joints[alignment.ID["neck"]] + (row * length)[..., None] * along + side[..., None] * across
    beneath = body.hips + ((row - 1) * length)[..., None] * low + side[..., None] * over
    return jnp.where((row > 1)[..., None], beneath, above)


def _profile(garment: jax.Array, row: jax.Array, side: jax.Array, half: jax.Array, arms: jax.Array) -> jax.Array:
    """Half widths [_ROWS] in pixels of trunk and skirt: the larger of the body's and the garment's own."""
    index = jnp.clip((row - _FIRST_ROW) / (_LAST_ROW - _FIRST_ROW) * (_ROWS - 1), 0, _ROWS - 1)
    index = jnp.round(index).astype(jnp.int32).reshape(-1)
    cloth = garment & ((row > 1) | (arms > _LIMB_REACH) | (jnp.abs(side) < half))
    limit = jnp.where(row > 1.1, jnp.inf, _LOOSE * half)
    own = jnp.where(cloth, jnp.minimum(jnp.abs(side) + 1, limit), 0)  # a pixel's other half, and what lies between rows
    own = jax.ops.segment_max(own.reshape(-1), index, _ROWS)
    body = jax.ops.segment_max(half.reshape(-1), index, _ROWS)
    widths = jnp.maximum(jnp.maximum(own, body), 1.0)
    widths = jnp.where(jnp.isfinite(widths), widths, 1.0)
    padded = jnp.pad(widths, 1, mode="edge")
    return 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]


def _width_at(row: jax.Array, profile: jax.Array) -> jax.Array:
    return jnp.interp(row, jnp.linspace(_FIRST_ROW, _LAST_ROW, _ROWS), profile)


def _ends(garment: jax.Array, row: jax.Array, trunk: jax.Array) -> jax.Array:
    """The rows [2] of a garment's top and hem on the trunk."""
    values = jnp.where(garment & trunk, row, jnp.nan)
    ends = jnp.nanquantile(values.reshape(-1), jnp.array([_FLAT_MARGIN, 1 - _FLAT_MARGIN]))
    return jnp.where(jnp.isfinite(ends), ends, jnp.array([0.0, 1.0]))


def _leg_width(garment: jax.Array, near: jax.Array) -> jax.Array:
    """Half the width of trouser legs in radii of the legs, which they are `near` to, []."""
    width = jnp.nanquantile(jnp.where(garment & (near < 2.5), near, jnp.nan).reshape(-1), 0.95)
    return jnp.where(jnp.isfinite(width), jnp.clip(width, 1.1, 2.3), _SLEEVE)


def _turned(body: Body, depth: float) -> jax.Array:
    return jnp.arctan2(depth * body.turn[1], body.turn[0])


def _around(u: jax.Array, target: jax.Array, source: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Where the source shows what the target shows at u half widths: there, and whether it faces the camera."""
    angle = jnp.arcsin(jnp.clip(u, -0.995, 0.995)) - target + source
    shown = jnp.cos(angle) > 0
    return jnp.where(shown, jnp.sin(angle), jnp.sign(jnp.sin(angle))), shown


def _limbs(
    points: jax.Array, target: Body, source: Body, flat: jax.Array, leg_ratio: jax.Array, leg_width: dict
) -> tuple[jax.Array, jax.Array]:
    """Where each limb says that target points [H, W, 2] lie in the source, [8, H, W, 2], and whether it is shown there.

    A limb that the source hides is read from the other side. Args: leg_ratio [], of flat trousers the source's lengths
    over the target's; leg_width {'target', 'source'}, see `_leg_width`.
    """
    known = alignment.limb_known(source)
    other = jnp.asarray(alignment.OTHER_SIDE)
    read = jnp.where(~known & known[other], other, jnp.arange(len(LIMBS)))
    round_target, round_source = _turned(target, 1.0), _turned(source, 1.0)
    limbs, limbs_shown = [], []
    for i in range(len(LIMBS)):
        a, bone = target.joints[FIRST[i]], target.joints[SECOND[i]] - target.joints[FIRST[i]]
        first = source.joints[FIRST][read[i]]
        other_bone = source.joints[SECOND][read[i]] - first
        length, other_length = jnp.maximum(alignment.length_of(bone), 1.0), alignment.length_of(other_bone)
        along, other_along = bone / alignment.length_of(bone), other_bone / other_length
        relative = points - a
        down = alignment.dot(relative, along)
        share = jnp.clip(down / length, -0.3, 1.3)
        radius = LIMBS[i][3] + (LIMBS[i][4] - LIMBS[i][3]) * jnp.clip(share, 0, 1)
        wide = [_SLEEVE if alignment.IS_ARM[i] else leg_width[name] for name in ("target", "source")]
        across = alignment.dot(relative, jnp.stack([along[1], -along[0]])) / (radius * wide[0] * target.height)
        u, shown_here = _around(across, round_target, round_source)
        over = jnp.stack([other_along[1], -other_along[0]])
        there = share * other_length
        if not alignment.IS_ARM[i]:
            # Lying trousers do not show where the knees are: their legs reach from hip to hem in one line.
            before = 0.0 if i % 4 == 2 else alignment.length_of(target.joints[FIRST[i]] - target.joints[FIRST[i - 1]])
            hip = source.joints[FIRST][i if i % 4 == 2 else i - 1]
            first = jnp.where(flat, hip, first)
            there = jnp.where(flat, (before + down) * leg_ratio, there)
        limbs.append(first + there[..., None] * other_along + (u * radius * wide[1] * source.height)[..., None] * over)
        limbs_shown.append(shown_here)
    return jnp.stack(limbs), jnp.stack(limbs_shown)


def cylinder_flow(
    points: jax.Array,
    target: Body,
    target_garment: jax.Array,
    source: Body,
    source_garment: jax.Array,
    flat: jax.Array,
    trousers: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Backward flow [H, W, 2] at target points [H, W, 2] (pixels of both pictures), and whether the donor shows it.

    Args: target_garment, source_garment bool [H', W']: the garment in the target layout and in the donor's. flat []:
    the donor's garment lies alone, so that its joints are guesses and its own top and hem say more. trousers bool
    [H, W]: target points that show a trouser leg rather than a skirt.
    """
    size = target_garment.shape
    # A garment that lies alone lies with its front up, whatever its missing head and hands look like.
    source = source.replace(turn=jnp.where(flat, jnp.array([1.0, 0.0]), source.turn))
    some = geometry.grid(size)[::2, ::2]  # a quarter of the pixels measures a garment well enough
    side_of, reach, leg_width, arms = {}, {}, {}, alignment.IS_ARM
    for name, body, garment in (("target", target, target_garment), ("source", source, source_garment)):
        garment = garment[::2, ::2]
        all_near = alignment.limb_place(some, body)[0]
        near, leg_near = (jnp.where(kind[:, None, None], all_near, jnp.inf).min(0) for kind in (arms, ~arms))
        row, side, half = _axis(some, body)
        side_of[name] = _profile(garment, row, side, half, near)
        leg_width[name] = _leg_width(garment & (row > 1.3), leg_near)
        reach[name] = _ends(garment, row, (jnp.abs(side) < half) & ((near > _LIMB_REACH) | (row > 1)))

    # Trunk and skirt.
    row, side, _ = _axis(points, target)
    depth = PROPORTIONS["trunk_depth"]
    u, shown = _around(side / _width_at(row, side_of["target"]), _turned(target, depth), _turned(source, depth))
    lengths = [alignment.trunk_axes(b)[2] for b in (target, source)]
    legs = (source.leg / lengths[1]) / (target.leg / lengths[0])
    by_joints = jnp.where(row > 1, 1 + (row - 1) * legs, row)
    (_, hem), (other_top, other_hem) = reach["target"], reach["source"]
    # An upper garment or a dress hangs from the neck joint, a lower garment from the waist, which is above the hips.
    lower = other_top > 0.45
    top = jnp.where(lower, 1 - _WAIST_TO_HIPS * target.height / lengths[0], 0.0)
    other_top = jnp.where(lower, other_top, 0.0)
    by_ends = other_top + (row - top) / jnp.maximum(hem - top, 0.05) * (other_hem - other_top)
    there = jnp.where(flat & (lower | (other_hem > _DRESS)), by_ends, by_joints)
    trunk = _from_axis(there, u * _width_at(there, side_of["source"]), source)

    # Limbs.
    near, place = alignment.limb_place(points, target)
    sleeve = alignment.covered_share(jnp.zeros(size, jnp.int32), source, source_garment, arms=True)
    # Of flat trousers: lengths from hip to hem, there over here.
    leg_ratio = (other_hem - 1) * lengths[1] / jnp.maximum((hem - 1) * lengths[0], 5.0)
    limbs, limbs_shown = _limbs(points, target, source, flat, leg_ratio, leg_width)

    # Of the limbs that a pixel is near to, the one nearer to the camera; and it or the trunk likewise.
    nearer = _side(target)[:, None, None]
    inside_trunk = jnp.abs(side) < _width_at(row, side_of["target"])
    hidden = inside_trunk & (row < 1.15) & (nearer < -_IN_FRONT)
    beside = inside_trunk & (jnp.abs(nearer) < _IN_FRONT) & (near > 1.1)
    reach_of = jnp.where(arms, _LIMB_REACH, leg_width["target"] + 0.3)[:, None, None]
    sleeved = place < jnp.maximum(sleeve, _SHOULDER) + 0.1
    allowed = jnp.where(arms[:, None, None], sleeved & ~hidden & ~beside, trousers & (row > 1.0)) & (near < reach_of)
    rank = jnp.where(allowed, near - 0.6 * nearer, jnp.inf)
    best = jnp.argmin(rank, 0)[None]
    on_limb = allowed.any(0)
    there = jnp.where(on_limb[..., None], jnp.take_along_axis(limbs, best[..., None], 0)[0], trunk)
    shown = jnp.where(on_limb, jnp.take_along_axis(limbs_shown, best, 0)[0], shown)
    return there - points, shown


def first_flow(
    target_labels: jax.Array,
    target_points: jax.Array,
    target_visible: jax.Array,
    donor_labels: jax.Array,
    donor_points: jax.Array,
    donor_visible: jax.Array,
    garment_type: jax.Array,
    flat: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """`geometric_flow` of a batch at a quarter of the resolution: flow [B, H/4, W/4, 2] in pixels there, shown bool.

    Args: label ids [B, H, W], keypoints [B, 18, 2] with visible [B, 18], garment_type [B] an index of
    `segmentation.GARMENT_TYPES`, flat [B].
    """
    size = target_labels.shape[1:]
    points = geometry.grid((size[0] // 4, size[1] // 4)) * 4 + 1.5

    def one(target_labels, target_points, target_visible, donor_labels, donor_points, donor_visible, kind, flat):
        target, donor = (
            (alignment.body_of(points, visible, size), mask(labels[None], kind[None])[0])
            for points, visible, labels, mask in (
                (target_points, target_visible, target_labels, blending.target_mask),
                (donor_points, donor_visible, donor_labels, blending.garment_mask),
            )
        )
        trousers = target_labels[2::4, 2::4] == segmentation.ID["pants"]
        flow, shown = cylinder_flow(points, *target, *donor, flat, trousers)
        return flow / 4, shown

    return jax.vmap(one)(
        target_labels.astype(jnp.int32),
        target_points,
        target_visible,
        donor_labels.astype(jnp.int32),
        donor_points,
        donor_visible,
        garment_type,
        flat,
    )
