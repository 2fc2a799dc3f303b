"""The parts of a body: where the points of a picture lie on trunk, skirt and limbs, and what is worn there.

Conventions: `Body`: see body.py; a `Figure` is a person in a picture, and where each of its pixels lies on the body.
Radii are shares of the body height. Parts are numbered: 0 trunk, 1 skirt (hips and what hangs from them), then the
eight limbs in the order of `LIMBS`. Left and right are the person's own. All functions take one frame; `jax.vmap` them
over batches.
"""

import dataclasses

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import geometry, segmentation
from vton_jax.core.keypoints import ID
from vton_jax.core.types import Layout
from vton_jax.layout.body import PROPORTIONS, Body, body_of, length_of

# Name, first and second joint, radius at each, and the label of its skin. The radii are those
# of the mannequins (`mannequin/body.py`) and a thousandth or two of the height more.
LIMBS = tuple(
    (f"{side}-{limb}", ID[f"{side}-{a}"], ID[f"{side}-{b}"], r0, r1, segmentation.ID[f"{side}-{label}"])
    for side in ("right", "left")
    for limb, a, b, r0, r1, label in (
        ("upper-arm", "shoulder", "elbow", 0.033, 0.025, "arm"), ("forearm", "elbow", "wrist", 0.026, 0.018, "arm"),
        ("thigh", "hip", "knee", 0.053, 0.037, "leg"), ("shin", "knee", "ankle", 0.038, 0.023, "leg"),
    )
)  # fmt: skip
TRUNK, SKIRT, NUM_PARTS = 0, 1, 2 + len(LIMBS)
FIRST = np.array([limb[1] for limb in LIMBS])
SECOND = np.array([limb[2] for limb in LIMBS])
_RADII = np.array([limb[3:5] for limb in LIMBS], dtype=np.float32)
LIMB_LABEL = np.array([limb[5] for limb in LIMBS], dtype=np.int32)
IS_ARM = np.array(["arm" in limb[0] for limb in LIMBS])
SHINS = np.array([next(i for i, limb in enumerate(LIMBS) if limb[0] == f"{side}-shin") for side in ("left", "right")])
FROM_TRUNK = np.array(["upper-arm" in limb[0] or "thigh" in limb[0] for limb in LIMBS])
OTHER_SIDE = np.array([4, 5, 6, 7, 0, 1, 2, 3])


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Where parts begin and end. Lengths of the trunk are `share`s, widths `across`, see `trunk_coordinates`.

    Chosen by eye on mannequins, unless a line says otherwise.
    """

    shortest_trunk: float = 0.5  # of its length: one that looks shorter leans towards the camera
    flat_until: float = 0.1  # share of the trunk down to which it is as flat as the shoulders
    deep_after: float = 0.25  # and after how much more it is as deep as the chest
    # A skirt makes room for knees, as the mannequins' do. In body heights.
    stance: float = 0.06  # how far knees are from the middle, seen from the front, without a stride
    longest_stride: float = 0.12
    depth_of_stride: float = 1.6  # of a skirt, over a stride
    strides_seen: float = 0.3  # sine of the turn from which on a stride is seen
    least_sine: float = 0.4  # by which a stride that is seen is divided at least
    # `covered_share`: how far along a limb (0 to 1) it is looked at, in lanes aside of the bone, in radii.
    looked_at: tuple[float, float, int] = (0.03, 0.97, 24)  # first, last, how many
    lanes: tuple[float, ...] = (-0.4, 0.0, 0.4)
    enough_lanes: int = 2  # that agree
    beyond_end: float = 0.02  # the hem is half a step beyond the last cloth that was looked at
    to_the_joint: float = 0.9  # place from which on a limb's first half counts as clothed to its end
    shoulder_cloth: float = 0.36  # place: what ends above is no sleeve but the shoulder's own cloth
    long_sleeve: float = 1.7  # place: what ends below it reaches the wrist
    wrist: tuple[float, float] = (1.95, 1.99)
    # `shoe_top`. On 30 validation cases of mannequins the coarse map gained .026 mIoU by it (commit 8e61bea).
    shin_looked_at: tuple[float, float, int] = (0.3, 1.0, 36)
    steps_above: int = 2  # where skin is looked for, above the first pixel of a shoe
    ankle_boot: float = 1.78  # place: the top of a shoe that clothes hide
    # `membership`. The shares beyond which a pixel is no trunk's, and from which on a skirt's.
    trunk_begins: float = -0.12
    trunk_ends: float = 1.12
    trunk_half_width: float = 0.95
    outside: float = 0.03  # of the body height: by so much beyond its outline the trunk is a thickness farther
    trunk_gives_way: float = 0.25  # to arms that are nearer by more
    trunk_reach: tuple[float, float, float] = (-0.4, 1.06, 1.25)  # share: first, last of trousers, last of the rest
    skirt_begins: float = 0.9
    off_the_arms: float = 1.4  # nearness of arms beyond which cloth hangs from the hips
    skirt_half_width: float = 0.8  # within which it does in any case
    nearly_as_near: float = 0.4  # a limb as its rivals
    cloth_reach: float = 2.2  # radii about a limb that its cloth may fill
    on_limb: float = 1.1  # radii within which a pixel is a limb's in any case


THRESHOLDS = Thresholds()


@flax.struct.dataclass
class Figure:
    """A person in a picture [H, W], and where each pixel lies on the body."""

    layout: Layout
    body: Body
    points: jax.Array  # [H, W, 2] the pixels themselves
    nearness: jax.Array  # [8, H, W], see `limb_place`
    place: jax.Array  # [8, H, W]
    share: jax.Array  # [H, W], see `trunk_coordinates`
    across: jax.Array  # [H, W]


def figure_of(layout: Layout) -> Figure:
    """The person that a layout [H, W] shows, or the invisible wearer of its garment."""
    size = layout.segmentation.shape[-2:]
    points, body = geometry.grid(size), body_of(layout, size)
    return Figure(layout, body, points, *limb_place(points, body), *trunk_coordinates(points, body))


def trunk_axes(body: Body) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Unit vectors along (neck to hips) and across (to the picture's right), and the trunk's length."""
    spine = body.hips - body.joints[ID["neck"]]
    length = jnp.maximum(length_of(spine), THRESHOLDS.shortest_trunk * PROPORTIONS.torso * body.height)
    along = spine / length_of(spine)
    return along, jnp.stack([along[1], -along[0]]), length


def skirt_axes(body: Body) -> tuple[jax.Array, jax.Array]:
    along = trunk_axes(body)[0] + jnp.array([0.0, 1.0])
    along = along / length_of(along)
    return along, jnp.stack([along[1], -along[0]])


def dot(points: jax.Array, axis: jax.Array) -> jax.Array:
    return points[..., 0] * axis[0] + points[..., 1] * axis[1]


def _width(body: Body, depth) -> jax.Array:
    """How wide something of unit width and given depth looks, in pixels a body height."""
    cosine, sine = body.turn
    return body.height * jnp.sqrt(jnp.square(cosine) + jnp.square(depth * sine) + 1e-6)


def trunk_width(body: Body, share: jax.Array) -> jax.Array:
    """Apparent width at `share` of the way from neck to hips: shoulders are flatter than the chest."""
    p, t = PROPORTIONS, THRESHOLDS
    deep = jnp.clip((share - t.flat_until) / t.deep_after, 0, 1)
    depth = p.shoulder_depth + (p.trunk_depth - p.shoulder_depth) * deep
    return _width(body, depth)


def skirt_width(body: Body) -> jax.Array:
    """A skirt makes room for striding knees, which stand out sideways when the person is seen from the side."""
    t = THRESHOLDS
    knees = body.joints[np.array([ID["right-knee"], ID["left-knee"]])][:, 0]
    # A hidden knee has been guessed half way to a visible ankle.
    seen = body.visible[np.array([[ID["right-knee"], ID["left-knee"]], [ID["right-ankle"], ID["left-ankle"]]])].any(0)
    cosine, sine = jnp.abs(body.turn)
    sideways = jnp.where(seen, jnp.abs(knees - body.hips[0]), 0).max() / body.height
    stride = jnp.clip((sideways - t.stance * cosine) / jnp.maximum(sine, t.least_sine), 0, t.longest_stride)
    return _width(body, PROPORTIONS.trunk_depth + t.depth_of_stride * (stride * (sine > t.strides_seen)))


def limb_place(points: jax.Array, body: Body) -> tuple[jax.Array, jax.Array]:
    """Where points [..., 2] lie by each limb: (nearness, place), both [8, ...].

    Nearness is the distance to the bone over the limb's radius there: below 1 is on the limb. Place runs from 0 at
    shoulder or hip over 1 at elbow or knee to 2 at wrist or ankle.
    """
    a, b = body.joints[FIRST], body.joints[SECOND]
    shape = (len(LIMBS),) + (1,) * (points.ndim - 1)
    bone = b - a
    squared = jnp.maximum(jnp.sum(jnp.square(bone), -1), 1e-3).reshape(shape)
    ax, ay, bx, by = (c.reshape(shape) for c in (a[:, 0], a[:, 1], bone[:, 0], bone[:, 1]))
    dx, dy = points[..., 0] - ax, points[..., 1] - ay
    along = jnp.clip((dx * bx + dy * by) / squared, 0, 1)
    distance = jnp.sqrt(jnp.square(dx - along * bx) + jnp.square(dy - along * by))
    first, second = (jnp.asarray(radius).reshape(shape) for radius in _RADII.T)
    radius = first * (1 - along) + second * along
    return distance / (radius * body.height), along + jnp.asarray(~FROM_TRUNK).reshape(shape)


def limb_known(body: Body) -> jax.Array:
    """Whether each limb's place [8] is known: its joints are visible, hips and shoulders otherwise well guessed."""
    return (body.visible[FIRST] | jnp.asarray(FROM_TRUNK)) & body.visible[SECOND]


def trunk_coordinates(points: jax.Array, body: Body) -> tuple[jax.Array, jax.Array]:
    """(share of the way from neck to hips, signed distance across in trunk half widths) of points [..., 2]."""
    along, across, length = trunk_axes(body)
    relative = points - body.joints[ID["neck"]]
    share = dot(relative, along) / length
    return share, dot(relative, across) / (PROPORTIONS.trunk_half_width * trunk_width(body, share))


def covered_share(label: jax.Array, body: Body, garment: jax.Array, arms: bool) -> jax.Array:
    """How far down arms or legs a garment reaches, as a limb's place (0..2, see `limb_place`), float [].

    Sleeves cover an arm from the shoulder on, and both arms alike: so a sleeve ends where the first skin is seen on
    either arm, however much of the garment lies in front of the rest of the arm. `label` int [H, W]; `garment` bool
    [H, W] marks the garment's pixels.
    """
    index, t = np.flatnonzero(arms == IS_ARM), THRESHOLDS
    steps, offsets = np.linspace(*t.looked_at, dtype=np.float32), np.array(t.lanes, np.float32)
    a, b = body.joints[FIRST[index]], body.joints[SECOND[index]]
    bone = b - a
    across = jnp.stack([bone[:, 1], -bone[:, 0]], -1) / length_of(bone)[:, None]
    aside = offsets * _RADII[index].mean(-1, keepdims=True) * body.height  # [4, 3]
    points = a[:, None, None] + bone[:, None, None] * steps[:, None, None]
    points = points + across[:, None, None] * aside[:, None, :, None]  # [4, 24, 3, 2]
    code = geometry.warp_nearest(label + 32 * garment, points, 0)
    known = limb_known(body)[index][:, None]
    skin = ((code & 31) == LIMB_LABEL[index][:, None, None]).sum(-1) >= t.enough_lanes
    cloth = ((code >> 5) > 0).sum(-1) >= t.enough_lanes
    place = steps + (~FROM_TRUNK[index])[:, None]
    skin = known & skin & jnp.concatenate([skin[:, 1:], skin[:, -1:]], 1)
    first_skin = jnp.where(skin, place, 2.0).min()
    last_cloth = jnp.where(known & cloth, place, 0.0).max()
    # Clothed to the elbow or knee, and nothing of the limb is seen from there on: clothed to its end.
    hides = (first_skin == 2.0) & (last_cloth > t.to_the_joint) & ~known[~FROM_TRUNK[index]].any()
    end = jnp.minimum(first_skin + t.beyond_end, jnp.where(hides, 2.0, last_cloth + t.beyond_end))
    end = jnp.where(end > t.long_sleeve, jnp.clip(end, *t.wrist), end)
    return jnp.where(end < t.shoulder_cloth, 0.0, end)


def shoe_top(person: Figure) -> jax.Array:
    """Where a person's shoes begin, as a shin's place (1..2, see `limb_place`), float []; 2 without shoes.

    It is seen where the bare skin of a leg turns into its shoe. Beneath trousers or a long skirt it is not seen: then
    it is an ankle boot's, or where the shoe appears, whichever is higher.
    """
    label, body = jnp.asarray(person.layout.segmentation).astype(jnp.int32), person.body
    t = THRESHOLDS
    steps = np.linspace(*t.shin_looked_at, dtype=np.float32)
    a, b = body.joints[FIRST[SHINS]], body.joints[SECOND[SHINS]]
    read = geometry.warp_nearest(label, a[:, None] + (b - a)[:, None] * steps[:, None], 0)  # [2, 36]
    shoe = (read == np.array(segmentation.SHOES)[:, None]) & limb_known(body)[SHINS][:, None]
    shod, first = shoe.any(1), jnp.argmax(shoe, 1)
    above = jnp.take_along_axis(read, jnp.maximum(first - t.steps_above, 0)[:, None], 1)[:, 0]
    seen = shod & (above == np.array(segmentation.LEGS))
    place = jnp.where(shod, 1 + jnp.asarray(steps)[first], 2.0)
    mean = jnp.where(seen, place, 0).sum() / jnp.maximum(seen.sum(), 1)
    hidden = jnp.where(
        segmentation.region(label, segmentation.SHOES).any(), jnp.minimum(place.min(), t.ankle_boot), 2.0
    )
    return jnp.where(seen.any(), mean, hidden)


def membership(person: Figure) -> jax.Array:
    """Which parts each pixel of a person's layout belongs to: bits, int32 [H, W].

    A pixel belongs to the nearest part, distances measured in that part's own thickness, and to others that are nearly
    as near, so that no gap opens at a joint that bends differently in the target.
    """
    t = THRESHOLDS
    share, across, near = person.share, person.across, person.nearness
    known = limb_known(person.body)[:, None, None]
    arms = jnp.where(known & jnp.asarray(IS_ARM)[:, None, None], near, jnp.inf).min(0)
    legs = jnp.where(~jnp.asarray(IS_ARM)[:, None, None], near, jnp.inf).min(0)
    outside = jnp.maximum(jnp.maximum(t.trunk_begins - share, share - t.trunk_ends) * PROPORTIONS.torso, 0)
    outside = jnp.maximum(outside, (jnp.abs(across) - t.trunk_half_width) * PROPORTIONS.trunk_half_width)
    trunk = jnp.where(outside > 0, 1 + outside / t.outside, jnp.abs(across))
    label = person.layout.segmentation
    trunk_bit = (trunk <= arms + t.trunk_gives_way) | (trunk < 1)
    # Below the hips trousers belong to the legs alone.
    first, trousers_end, end = t.trunk_reach
    trunk_bit &= (share > first) & (share < jnp.where(label == segmentation.ID["pants"], trousers_end, end))
    hanging = segmentation.region(label, segmentation.UPPER + segmentation.DRESS + (segmentation.ID["skirt"],))
    skirt_bit = hanging & (share > t.skirt_begins)
    skirt_bit &= (arms > t.off_the_arms) | (jnp.abs(across) < t.skirt_half_width)
    bits = trunk_bit.astype(jnp.int32) | (skirt_bit.astype(jnp.int32) << SKIRT)
    for i in range(len(LIMBS)):
        rivals = jnp.minimum(arms, trunk) if IS_ARM[i] else jnp.minimum(legs, arms)
        member = ((near[i] <= rivals + t.nearly_as_near) & (near[i] < t.cloth_reach)) | (near[i] < t.on_limb)
        bits = bits | (member.astype(jnp.int32) << (2 + i))
    return bits
