"""FlowRefinementCNN: the second stage of ReMapCNN, which weighs two flows against each other and corrects them.

ReMapCNN's flow comes from what it has learnt, that of `geometric_flow` from geometry alone; one is good where the other
fails. This network sees what either brings to each place of the target (the dress, its labels and the donor's joints,
warped) beside what the target should show there, and answers with a weight for each flow and a correction. Not in the
talk; ClothFlow's cascaded estimation of flow is of this kind.

Conventions: everything lies at a quarter of the resolution, [B, H/4, W/4, C]; flows are backward, in pixels there.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from vton_jax.core import geometry
from vton_jax.models import layers, losses

FLOW_UNIT = 16.0  # pixels a unit of what it is told and of its corrections, at stride 4


class FlowRefinementCNN(nn.Module):
    widths: tuple[int, ...] = (64, 80, 96)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        donor: jax.Array,
        target: jax.Array,
        coarse_flow: jax.Array,
        first_flow: jax.Array,
        first_shown: jax.Array,
    ) -> dict[str, jax.Array]:
        """The refined flow.

        Args: donor [.., 39], the dress's colours, its label fractions and the donor's pose maps; target [.., 36], the
        target layout's label fractions and its pose maps; coarse_flow, ReMapCNN's; first_flow with first_shown bool
        [B, H/4, W/4], of `geometric_flow.first_flow`.
        Returns {'coarse_flow': the refined flow [B, H/4, W/4, 2], 'weight': ReMapCNN's weight of it [B, H/4, W/4, 1]}.
        """
        flows = [flow.astype(jnp.float32) for flow in (coarse_flow, first_flow)]
        brought = [geometry.warp(jax.lax.stop_gradient(donor), flow) for flow in flows]
        said = [flow / FLOW_UNIT for flow in (*flows, flows[0] - flows[1])]
        x = jnp.concatenate([target, *brought, *said, first_shown[..., None].astype(jnp.float32)], -1)
        x = layers.UNet(self.widths, patch=2, dtype=self.dtype)(x)
        out = nn.Conv(4 * 3, (3, 3), dtype=jnp.float32, kernel_init=nn.initializers.normal(1e-3))(x.astype(jnp.float32))
        out = layers.depth_to_space(out, 2)
        weight = nn.sigmoid(out[..., :1])
        flow = weight * flows[0] + (1 - weight) * flows[1] + out[..., 1:] * FLOW_UNIT
        return {"coarse_flow": flow, "weight": weight}


def loss(outputs: dict, flow: jax.Array, visible: jax.Array, inside: jax.Array) -> dict:
    """{'flow', 'tv'}: the distance from the true flow in pixels of the full size, and the talk's total variation.

    Args: flow [B, H/4, W/4, 2]; visible [B, H/4, W/4], the fraction of each block where it is known; inside
    [B, H/4, W/4], where no region's boundary passes.
    """
    distance = 4 * jnp.sqrt(jnp.sum(jnp.square(outputs["coarse_flow"] - flow), -1) + 1e-6)
    return {
        "flow": losses.masked_mean(jnp.sqrt(distance * distance + 1.0) - 1.0, visible),
        "tv": losses.total_variation(outputs["coarse_flow"], inside),
    }


LOSS_WEIGHTS = {"flow": 1.0, "tv": 0.1}
