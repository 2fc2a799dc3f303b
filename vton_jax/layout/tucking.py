"""Whether an upper garment goes into the lower one or hangs over it.

Conventions: layers are label maps int32 [H, W] by the names of `garment_layers.garment_layers`, 0 where none; `Figure`:
see body_parts.py. One frame; no Python branch on data.
"""

import dataclasses

import jax
import jax.numpy as jnp

from vton_jax.core.segmentation import DRESS, bit_set, in_bit_set
from vton_jax.layout.body_parts import Figure

TUCKS = ("auto", "in", "over")  # auto: as far down as the upper garment itself reaches


@dataclasses.dataclass(frozen=True)
class Proportions:
    """Fractions and half widths of the trunk, see `body_map.trunk_coordinates`.

    `waist` is where trousers and skirts begin on people of the catalogue's validation split (the first 48 cases) whose
    tops are in them, and `hem` where tops end that hang over them; the others by eye.
    """

    waist: float = 0.77
    half_width: float = 1.05  # of what a lower garment covers of the trunk where a top was before it
    hips: float = 1.2  # down to here it does
    tucked: float = (
        0.12  # a top that ends so near to the waist, above or below, was tucked in where it was photographed
    )
    hem: float = 1.12  # of such a top when it hangs
    hem_half_width: float = 1.3


PROPORTIONS = Proportions()


def tuck_in_or_out(layers: dict[str, jax.Array], target: Figure, tuck) -> dict[str, jax.Array]:
    """The layers of both garments as `tuck`, an index in `TUCKS`, int32 [], has them.

    `in`: from the waist on the lower garment covers the upper one. `over`: an upper garment that ends at the waist goes
    on over the lower one; one that ends far above stays as short as it is, and a longer one as long. Dresses, and tops
    without a lower garment, stay.
    """
    p, fraction, across = PROPORTIONS, target.fraction, jnp.abs(target.across)
    upper, lower, beneath = layers["upper"], layers["lower"], layers["under_lower"]
    top = jnp.where(in_bit_set(upper, bit_set(DRESS)), 0, upper)
    below = jnp.where(lower > 0, lower, beneath)
    label_of = lambda layer: jnp.max(layer)  # noqa: E731  (one garment: one label, but for a belt or scarf)
    both = (top > 0).any() & (below > 0).any()

    goes_in = both & (tuck == TUCKS.index("in"))
    hidden = goes_in & (fraction >= p.waist)
    filled = hidden & (top > 0) & (below == 0) & (across < p.half_width) & (fraction < p.hips)

    ends = jnp.where((top > 0) & (across < 0.5), fraction, -jnp.inf).max()
    hangs = both & (tuck == TUCKS.index("over")) & (jnp.abs(ends - p.waist) < p.tucked)
    longer = hangs & (below > 0) & (fraction > p.waist - p.tucked) & (fraction < p.hem) & (across < p.hem_half_width)
    return layers | {
        "upper": jnp.where(hidden, upper - top, jnp.where(longer, label_of(top), upper)),
        "under_upper": jnp.where(hidden, 0, layers["under_upper"]),
        "lower": jnp.where(filled, label_of(below), lower),
    }
