"""Alignment part by part: where in one person's picture lies what another person's shows.

Conventions: parts: see body_parts.py. All functions take one frame; `jax.vmap` them over batches.
"""

import dataclasses

import jax
import jax.numpy as jnp

from vton_jax.core.keypoints import ID
from vton_jax.layout import body_parts
from vton_jax.layout.body import Body, length_of
from vton_jax.layout.body_parts import FIRST, FROM_TRUNK, LIMBS, OTHER_SIDE, SECOND, dot


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Chosen by eye on mannequins."""

    end: float = 0.93  # of a limb's length: where its end is read, for the limb after it that is hidden


THRESHOLDS = Thresholds()
_NOWHERE = 1e4  # pixels, outside any picture


def _bend(distance, length, other_length, scale):
    """Distance along a bone here -> there: stretched between the joints, scaled by the bodies beyond them."""
    inside = jnp.clip(distance, 0, length)
    return inside * (other_length / length) + (distance - inside) * scale


def backward_points(points: jax.Array, target: Body, source: Body) -> tuple[jax.Array, jax.Array]:
    """For target points [H, W, 2], where each part says the same spot lies in the source: [P, H, W, 2].

    A limb that the source hides is read from the source's other side; where both are hidden, a forearm or shin is read
    from the end of the limb before it.
    Returns the points and, [P], the source's part that each reads.
    """
    scale = source.height / target.height
    along, across, length = body_parts.trunk_axes(target)
    source_along, source_across, source_length = body_parts.trunk_axes(source)
    relative = points - target.joints[ID["neck"]]
    down, side = dot(relative, along), dot(relative, across)
    share = down / length
    mirror = jnp.where(target.turn[0] * source.turn[0] < 0, -1.0, 1.0)
    side = side * mirror * body_parts.trunk_width(source, share) / body_parts.trunk_width(target, share)
    down = _bend(down, length, source_length, scale)
    trunk = source.joints[ID["neck"]] + down[..., None] * source_along + side[..., None] * source_across

    along, across = body_parts.skirt_axes(target)
    source_along, source_across = body_parts.skirt_axes(source)
    relative = points - target.hips
    down = dot(relative, along)
    down = jnp.where(down > 0, down * source.leg / target.leg, down * scale)
    side = dot(relative, across) * mirror * body_parts.skirt_width(source) / body_parts.skirt_width(target)
    skirt = source.hips + down[..., None] * source_along + side[..., None] * source_across

    known = body_parts.limb_known(source)
    both_hidden = ~known & ~known[OTHER_SIDE]
    before = jnp.where(both_hidden & jnp.asarray(~FROM_TRUNK), jnp.arange(len(LIMBS)) - 1, jnp.arange(len(LIMBS)))
    read = jnp.where(~known[before] & known[OTHER_SIDE][before], jnp.asarray(OTHER_SIDE)[before], before)
    first, second = source.joints[FIRST][read], source.joints[SECOND][read]
    only_end = before != jnp.arange(len(LIMBS))
    limbs = []
    for i in range(len(LIMBS)):
        a, bone = target.joints[FIRST[i]], target.joints[SECOND[i]] - target.joints[FIRST[i]]
        length, source_length = jnp.maximum(length_of(bone), 1.0), length_of(second[i] - first[i])
        along, source_along = bone / length_of(bone), (second[i] - first[i]) / source_length
        relative = points - a
        down = dot(relative, along)
        at_end = jnp.where((down > 0) & (down < length), THRESHOLDS.end * source_length, _NOWHERE)
        down = jnp.where(only_end[i], at_end, _bend(down, length, source_length, scale))
        side = dot(relative, jnp.stack([along[1], -along[0]])) * scale
        source_across = jnp.stack([source_along[1], -source_along[0]])
        limbs.append(first[i] + down[..., None] * source_along + side[..., None] * source_across)
    return jnp.stack([trunk, skirt, *limbs]), jnp.concatenate([jnp.arange(2), 2 + read])
