"""What is worn on the parts of a body: how far sleeves, trouser legs and shoes reach, and whose a pixel is.

Conventions: parts and places: see body_map.py; a `Figure` is a person in a picture, and where each of its pixels lies
on the body. All functions take one frame; `jax.vmap` them over batches.
"""

import dataclasses

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import geometry, segmentation
from vton_jax.core.types import Layout
from vton_jax.layout.body import PROPORTIONS, Body, body_of
from vton_jax.layout.body_map import (
    FROM_TRUNK,
    IS_ARM,
    LIMB_LABEL,
    LIMB_RADII,
    LIMBS,
    SHINS,
    SKIRT,
    Axis,
    limb_axes,
    limb_known,
    limb_place,
    trunk_coordinates,
)


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Where parts begin and end. Lengths of the trunk are `fraction`s, widths `across`, see `trunk_coordinates`.

    Chosen by eye on capsule mannequins, unless a line says otherwise.
    """

    # `covered_fraction`: how far along a limb (0 to 1) it is looked at, in lanes aside of the bone, in radii.
    looked_at: tuple[float, float, int] = (0.03, 0.97, 24)  # first, last, how many
    lanes: tuple[float, ...] = (-0.4, 0.0, 0.4)
    enough_lanes: int = 2  # that agree
    beyond_end: float = 0.02  # the hem is half a step beyond the last cloth that was looked at
    to_the_joint: float = 0.9  # place from which on a limb's first half counts as clothed to its end
    shoulder_cloth: float = 0.36  # place: what ends above is no sleeve but the shoulder's own cloth
    long_sleeve: float = 1.7  # place: what ends below it reaches the wrist
    wrist: tuple[float, float] = (1.95, 1.99)
    # `shoe_top`. On 30 validation cases of capsule mannequins the coarse map gained .026 mIoU by it (commit 8e61bea).
    shin_looked_at: tuple[float, float, int] = (0.3, 1.0, 36)
    steps_above: int = 2  # where skin is looked for, above the first pixel of a shoe
    ankle_boot: float = 1.78  # place: the top of a shoe that clothes hide
    # `membership`. The fractions beyond which a pixel is no trunk's, and from which on a skirt's.
    trunk_begins: float = -0.12
    trunk_ends: float = 1.12
    trunk_half_width: float = 0.95
    outside: float = 0.03  # of the body height: by so much beyond its outline the trunk is a thickness farther
    trunk_gives_way: float = 0.25  # to arms that are nearer by more
    trunk_reach: tuple[float, float, float] = (-0.4, 1.06, 1.25)  # fraction: first, last of trousers, last of the rest
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
    fraction: jax.Array  # [H, W], see `trunk_coordinates`
    across: jax.Array  # [H, W]


def figure_of(layout: Layout, body: Body | None = None) -> Figure:
    """The person that a layout [H, W] shows, or the invisible wearer of its garment. Args: body: its own, if known."""
    size = layout.segmentation.shape[-2:]
    points, body = geometry.grid(size), body_of(layout, size) if body is None else body
    return Figure(layout, body, points, *limb_place(points, body), *trunk_coordinates(points, body))


def covered_fraction(
    label: jax.Array, body: Body, garment: jax.Array, arms: bool, bounds: jax.Array | None = None
) -> jax.Array:
    """How far down arms or legs a garment reaches, as a limb's place (0..2, see `limb_place`), float [].

    Sleeves cover an arm from the shoulder on, and both arms alike: so a sleeve ends where the first skin is seen on
    either arm, however much of the garment lies in front of the rest of the arm. `label` int [H, W]; `garment` bool
    [H, W] marks the garment's pixels. `bounds` float [2]: what is known of it anyway, if it covers arms at all.
    """
    index, t = np.flatnonzero(arms == IS_ARM), THRESHOLDS
    steps, offsets = np.linspace(*t.looked_at, dtype=np.float32), np.array(t.lanes, np.float32)
    axes = limb_axes(body, index)
    down = axes.length[:, None, None] * steps[:, None]
    aside = offsets * LIMB_RADII[index].mean(-1)[:, None, None] * body.height
    points = jax.vmap(Axis.point)(axes, down, aside)  # [4, 24, 3, 2]
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
    end = jnp.where(end < t.shoulder_cloth, 0.0, end)
    return end if bounds is None else jnp.clip(end, bounds[0], bounds[1])


def shoe_top(person: Figure) -> jax.Array:
    """Where a person's shoes begin, as a shin's place (1..2, see `limb_place`), float []; 2 without shoes.

    It is seen where the bare skin of a leg turns into its shoe. Beneath trousers or a long skirt it is not seen: then
    it is an ankle boot's, or where the shoe appears, whichever is higher.
    """
    label, body = jnp.asarray(person.layout.segmentation).astype(jnp.int32), person.body
    t = THRESHOLDS
    steps = np.linspace(*t.shin_looked_at, dtype=np.float32)
    axes = limb_axes(body, SHINS)
    down = axes.length[:, None] * steps
    read = geometry.warp_nearest(label, jax.vmap(Axis.point)(axes, down, jnp.zeros_like(down)), 0)  # [2, 36]
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
    fraction, across, near = person.fraction, person.across, person.nearness
    known = limb_known(person.body)[:, None, None]
    arms = jnp.where(known & jnp.asarray(IS_ARM)[:, None, None], near, jnp.inf).min(0)
    legs = jnp.where(~jnp.asarray(IS_ARM)[:, None, None], near, jnp.inf).min(0)
    outside = jnp.maximum(jnp.maximum(t.trunk_begins - fraction, fraction - t.trunk_ends) * PROPORTIONS.torso, 0)
    outside = jnp.maximum(outside, (jnp.abs(across) - t.trunk_half_width) * PROPORTIONS.trunk_half_width)
    trunk = jnp.where(outside > 0, 1 + outside / t.outside, jnp.abs(across))
    label = person.layout.segmentation
    trunk_bit = (trunk <= arms + t.trunk_gives_way) | (trunk < 1)
    # Below the hips trousers belong to the legs alone.
    first, trousers_end, end = t.trunk_reach
    trunk_bit &= (fraction > first) & (fraction < jnp.where(label == segmentation.ID["pants"], trousers_end, end))
    hanging = segmentation.region(label, segmentation.UPPER + segmentation.DRESS + (segmentation.ID["skirt"],))
    skirt_bit = hanging & (fraction > t.skirt_begins)
    skirt_bit &= (arms > t.off_the_arms) | (jnp.abs(across) < t.skirt_half_width)
    bits = trunk_bit.astype(jnp.int32) | (skirt_bit.astype(jnp.int32) << SKIRT)
    rivals = jnp.minimum(arms, jnp.where(jnp.asarray(IS_ARM)[:, None, None], trunk, legs))
    member = ((near <= rivals + t.nearly_as_near) & (near < t.cloth_reach)) | (near < t.on_limb)
    return bits + (member.astype(jnp.int32) << (2 + np.arange(len(LIMBS)))[:, None, None]).sum(0)
