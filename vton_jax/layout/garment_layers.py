"""The garments of a source carried over to a target, part by part.

Conventions: parts: see body_map.py; `Figure`: see body_parts.py. Sets of labels are bits, see `segmentation.bit_set`. A
canvas is a label map uint8 [H, W] with `UNKNOWN`. One frame.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core.geometry import warp_nearest
from vton_jax.core.segmentation import ARMS, DRESS, FACE, HAIR, ID, LEGS, LOWER, UNKNOWN, UPPER, bit_set, in_bit_set
from vton_jax.layout import body_parts
from vton_jax.layout.alignment import backward_points
from vton_jax.layout.body_map import IS_ARM, LIMB_LABEL, SKIRT, limb_known
from vton_jax.layout.body_parts import Figure


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """What lies beneath, and where garments end: fractions and half widths of the trunk, see `trunk_coordinates`.

    Chosen by eye on capsule mannequins.
    """

    from_behind: float = -0.2  # cosine of the turn
    # A garment goes on beneath what covers it:
    half_width: float = 0.75  # within this
    upper_begins: float = 0.2  # an upper garment from here on, beneath arms and lower garments,
    below_hair: float = 0.03  # beneath hair from here on,
    upper_ends: float = 1.0  # down to here;
    lower: tuple[float, float] = (0.68, 1.15)  # and a lower garment from here to here
    belted: float = 0.4  # within this a top is looked for below a belt
    neckline: tuple[float, float] = (0.0, 0.4)  # skin that is a neckline's from the front is cloth from behind
    skirt_begins: float = 1.0  # below it an arm may hang before a skirt
    # How wide the trunk's garment may get, so that a side view stretched to a front view leaves the shoulders free.
    chest_half_width: float = 1.25
    hips_half_width: float = 1.7
    hips_begin: float = 0.6
    beside_limb: float = 2.2  # radii about a limb within which the source's own outline counts, as `membership`'s


THRESHOLDS = Thresholds()


def source_code(source: Figure, wanted: jax.Array, from_behind: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What a source's pixels carry to the target: int32 [H, W], label | label beneath << 5 | part bits << 10.

    Only garments in the bit set `wanted`, and skin, are carried. The label beneath is the garment that goes on under
    what covers it there: trousers under a shirt's hem, a shirt under a crossing arm. Without it, exchanging one of two
    garments would leave a gap wherever the old one overlapped the other. `from_behind`: only the target is seen from
    behind, where necklines are high.
    Returns the code, and the commonest wanted upper and lower garment's label (0: none).
    """
    t = THRESHOLDS
    label, fraction = jnp.asarray(source.layout.segmentation).astype(jnp.int32), source.fraction
    bits = body_parts.membership(source)
    mine = in_bit_set(label, wanted)
    carried = jnp.where(mine | in_bit_set(label, bit_set(ARMS + LEGS + FACE)), label, 0)

    def commonest(labels):
        counts = jnp.stack([(label == one).sum() * ((wanted >> one) & 1) for one in labels])
        return jnp.where(counts.max() > 0, jnp.asarray(labels)[jnp.argmax(counts)], 0)

    upper, lower = commonest((ID["upper-clothes"], *DRESS)), commonest((ID["skirt"], ID["pants"]))
    in_trunk = jnp.abs(source.across) < t.half_width
    # A belt around a top that goes on below it, and stays with its owner, leaves the top whole.
    ends = jnp.where((label == upper) & (jnp.abs(source.across) < t.belted), fraction, -jnp.inf).max()
    belted = (label == ID["belt"]) & ~mine & (fraction < ends) & (upper > 0)
    carried = jnp.where(belted, upper, carried)
    covers_upper = in_bit_set(label, bit_set((*LOWER, *ARMS, ID["bag"]))) & (fraction > t.upper_begins)
    covers_upper |= in_bit_set(label, bit_set(HAIR)) & (fraction > t.below_hair)
    beneath = jnp.where(covers_upper & in_trunk & (fraction < t.upper_ends), upper, 0)
    covers_lower = in_bit_set(label, bit_set((*UPPER, *ARMS)))
    beneath = jnp.where(covers_lower & in_trunk & (fraction > t.lower[0]) & (fraction < t.lower[1]), lower, beneath)
    neckline = (label == ID["face"]) & (fraction > t.neckline[0]) & (fraction < t.neckline[1])
    neckline &= from_behind & (upper > 0)
    carried = jnp.where(neckline, upper, carried)
    # An arm before a skirt.
    hanging = (bits >> SKIRT) & in_bit_set(label, bit_set((ID["skirt"], *DRESS)) & wanted)
    row = (jnp.cumsum(hanging, axis=1) > 0) & (jnp.cumsum(hanging[:, ::-1], axis=1)[:, ::-1] > 0)
    before_skirt = in_bit_set(label, bit_set(ARMS)) & (fraction > t.skirt_begins) & row
    carried = jnp.where(before_skirt, jnp.where(in_bit_set(upper, bit_set(DRESS)), upper, lower), carried)
    bits = jnp.where(before_skirt, bits | (1 << SKIRT), bits)
    return carried | (beneath << 5) | (bits << 10), upper, lower


def garment_layers(
    source: Figure, wanted: jax.Array, target: Figure, canvas: jax.Array, sleeves: jax.Array
) -> dict[str, jax.Array]:
    """Carries a source's garments in the bit set `wanted` over to a target's canvas [H, W], part by part.

    sleeves: float [2], between which places down the arm they end at any rate.
    Returns label maps int32 [H, W], 0 where none: lower, upper (or dress), sleeve, under_lower, under_upper, skin.
    """
    t = THRESHOLDS
    from_behind = (target.body.turn[0] < t.from_behind) & (source.body.turn[0] > t.from_behind)
    code, upper_label, lower_label = source_code(source, wanted, from_behind)
    places, part = backward_points(target.points, target.body, source.body)
    read = jax.vmap(lambda place: warp_nearest(code, place, 0))(places)  # [P, H, W]
    member = ((read >> (10 + part[:, None, None])) & 1).astype(bool)
    # A limb whose joints the target hides is behind something: it may fill a hole, no more.
    known = jnp.concatenate([jnp.ones(2, bool), limb_known(target.body)])[:, None, None]
    label = jnp.where(member & (known | (canvas == UNKNOWN)), read & 31, 0)
    # A narrow side view stretched to a front view must not grow over the shoulders: what is there are sleeves.
    widest = jnp.where(target.fraction < t.hips_begin, t.chest_half_width, t.hips_half_width)
    trunk = jnp.where(jnp.abs(target.across) < widest, label[0], 0)
    skirt, limb = label[1], label[2:]
    below = jnp.where(member[0], (read[0] >> 5) & 31, 0)

    # Sleeves and trouser legs: on the limb itself their length decides; beside it, the source's own outline.
    nearness, place = target.nearness, target.place
    labels = jnp.asarray(source.layout.segmentation).astype(jnp.int32)

    def clothed(arms: bool, bits, garment_label):
        worn = in_bit_set(labels, bits & wanted)
        end = body_parts.covered_fraction(labels, source.body, worn, arms, sleeves if arms else None)
        index = np.flatnonzero(arms == IS_ARM)
        near, found = nearness[index], limb[index]
        # `index ^ 1`: the other limb of the same arm or leg.
        own = (canvas == LIMB_LABEL[index][:, None, None]) & (near <= nearness[index ^ 1])
        beside = jnp.where(in_bit_set(found, bits & wanted) & (near < t.beside_limb), found, 0)
        found = jnp.where(place[index] < end, jnp.where(own, garment_label, beside), 0)
        return jnp.take_along_axis(found, jnp.argmax(found > 0, 0)[None], 0)[0]

    upper_bits, lower_bits = bit_set(UPPER + DRESS), bit_set(LOWER)
    first = lambda bits, *layers: jnp.select([in_bit_set(a, bits) & (a > 0) for a in layers], layers, 0)  # noqa: E731
    trousers = clothed(False, bit_set((ID["pants"], ID["belt"])), jnp.where(lower_label == ID["pants"], lower_label, 0))
    return {
        "lower": first(lower_bits, trunk, skirt, trousers),
        "upper": first(upper_bits, trunk, skirt),
        "sleeve": clothed(True, upper_bits, upper_label),
        "under_lower": first(lower_bits, below),
        "under_upper": first(upper_bits, below),
        "skin": first(bit_set(FACE), trunk),
    }
