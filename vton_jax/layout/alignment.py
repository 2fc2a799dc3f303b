"""Alignment part by part: where in one person's picture lies what another person's shows.

Conventions: parts: see body_map.py. All functions take one frame; `jax.vmap` them over batches.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.layout import body_map
from vton_jax.layout.body import Body
from vton_jax.layout.body_map import FROM_TRUNK, LIMBS, OTHER_SIDE, Axis


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Chosen by eye on capsule mannequins."""

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
    mirror = jnp.where(target.turn[0] * source.turn[0] < 0, -1.0, 1.0)
    here, there = body_map.trunk_axis(target), body_map.trunk_axis(source)
    down, side = here.place(points)
    fraction = down / here.length
    side = side * mirror * body_map.trunk_width(source, fraction) / body_map.trunk_width(target, fraction)
    trunk = there.point(_bend(down, here.length, there.length, scale), side)

    here, there = body_map.skirt_axis(target), body_map.skirt_axis(source)
    down, side = here.place(points)
    down = down * jnp.where(down > 0, there.length / here.length, scale)
    skirt = there.point(down, side * mirror * body_map.skirt_width(source) / body_map.skirt_width(target))

    limb, known = np.arange(len(LIMBS)), body_map.limb_known(source)
    only_end = ~known & ~known[OTHER_SIDE] & ~FROM_TRUNK
    read = body_map.limbs_read(source, jnp.where(only_end, limb - 1, limb))

    def one(here: Axis, there: Axis, only_end: jax.Array):
        down, side = here.place(points)
        at_end = jnp.where((down > 0) & (down < here.length), THRESHOLDS.end * there.length, _NOWHERE)
        down = jnp.where(only_end, at_end, _bend(down, here.length, there.length, scale))
        return there.point(down, side * scale)

    limbs = jax.vmap(one)(body_map.limb_axes(target), body_map.limb_axes(source, read), only_end)
    return jnp.concatenate([trunk[None], skirt[None], limbs]), jnp.concatenate([jnp.arange(2), 2 + read])
