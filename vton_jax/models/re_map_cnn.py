"""ReMapCNN (Lab126 talk): appearance flow that moves the donor's dress to the target layout; flow moves, GANs invent.

Conventions: dress_image [B, H, W, 3] in [0, 1]; soft label maps [B, H, W, 18]; pose maps [B, H/4, W/4, 18]; `flow`
[B, H, W, 2] backward, in pixels; `mask` [B, H, W, 1] in (0, 1): where the donor shows what the target needs.
Loss of the talk: `|I_o - warp(I_dress)|_1 + alpha (|∇x| + |∇y|) M_not-boundary`.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from vton_jax.core import geometry, segmentation
from vton_jax.models import layers, losses

POSE_MAP_SIGMA = 2.0  # pixels at stride 4, of the pose maps it is given
FLOW_UNIT = 16.0  # pixels a unit of the network's output, at stride 4


class ReMapCNN(nn.Module):
    widths: tuple[int, ...] = (80, 112, 160)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        dress_image: jax.Array,
        s_dress: jax.Array,
        s_output: jax.Array,
        donor_pose: jax.Array,
        target_pose: jax.Array,
    ) -> dict[str, jax.Array]:
        """Returns {'flow', 'mask', 'warped' [B, H, W, 3], 'coarse_flow' [B, H/4, W/4, 2] in pixels there}."""
        size = dress_image.shape[1:3]
        unet = layers.UNet(self.widths, dtype=self.dtype)
        x = unet(dress_image * 2 - 1, s_dress, s_output, donor_pose, target_pose)
        x = layers.ConvBlock(self.widths[0], dtype=self.dtype)(x)
        out = nn.Conv(2 + 16, (3, 3), dtype=jnp.float32, kernel_init=nn.initializers.normal(1e-3))(
            x.astype(jnp.float32)
        )
        coarse = out[..., :2] * FLOW_UNIT
        flow = geometry.resize_flow(coarse, size)
        mask = nn.sigmoid(layers.depth_to_space(out[..., 2:], 4))
        # The image is an input: only the flow needs a gradient, which spares the scatter.
        warped = geometry.warp(jax.lax.stop_gradient(dress_image), flow)
        return {"flow": flow, "mask": mask, "warped": warped, "coarse_flow": coarse}


def loss(outputs: dict, output_image: jax.Array, output_labels: jax.Array, batch: dict, garment: jax.Array) -> dict:
    """The talk's two terms, and two more where the data knows the flow: {'l1', 'tv', 'flow', 'mask'}.

    Args: output_image [B, H, W, 3], the truth; output_labels [B, H, W]; garment [B, H, W], 1 on the donated garment in
    the truth; batch may hold 'flow' and 'flow_visible' (as drawn). Without a true flow the mask learns the garment's
    region where warping comes close to the truth.
    """
    error = jnp.abs(outputs["warped"] - output_image).mean(-1)
    seen = garment * batch["flow_visible"] if "flow_visible" in batch else garment
    inside = ~segmentation.boundaries(output_labels)
    inside = inside.reshape(inside.shape[0], inside.shape[1] // 4, 4, inside.shape[2] // 4, 4).all((2, 4))
    mask = jnp.clip(outputs["mask"][..., 0], 1e-4, 1 - 1e-4)
    terms = {"l1": losses.masked_mean(error, seen), "tv": losses.total_variation(outputs["coarse_flow"], inside)}
    if "flow" in batch:
        distance = jnp.linalg.norm(outputs["flow"] - batch["flow"] + 1e-6, axis=-1)
        terms["flow"] = losses.masked_mean(jnp.sqrt(distance * distance + 1.0) - 1.0, seen)
        wanted = seen.astype(jnp.float32)
    else:
        wanted = jax.lax.stop_gradient(garment * (error < 0.1)).astype(jnp.float32)
    terms["mask"] = -jnp.mean(wanted * jnp.log(mask) + (1 - wanted) * jnp.log(1 - mask))
    return terms


LOSS_WEIGHTS = {"l1": 4.0, "tv": 0.05, "flow": 0.05, "mask": 0.5}
