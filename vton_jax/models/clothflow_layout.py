"""Stage 1 of ClothFlow, conditional layout generation: s^_t = G(I_s, s_s, p_t).

X. Han and others, "ClothFlow: A Flow-Based Model for Clothed Person Generation", ICCV 2019, section 3.1: a U-Net from
the source's picture I_s, its segmentation s_s and the target pose p_t to the target segmentation. Here the source comes
in two parts, the clothing and the rest: in pose-guided generation both are of one photo, in try-on the clothing is the
garment's and the rest the user's, without what the garment replaces.

Conventions: pictures [B, H, W, 3] in [0, 1]; soft label maps [B, H, W, 18]; pose maps [B, H/4, W/4, C]. The networks of
ClothFlow's first two stages see pictures at half their size.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from vton_jax.core import segmentation
from vton_jax.models import layers


class ClothFlowLayout(nn.Module):
    """`dense`: the pose maps hold the body's surface, too (ClothFlowDense)."""

    widths: tuple[int, ...] = (64, 88, 96)
    dense: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        clothing: jax.Array,
        clothing_labels: jax.Array,
        rest: jax.Array,
        rest_labels: jax.Array,
        target_pose: jax.Array,
    ) -> dict[str, jax.Array]:
        """Returns {'segmentation': logits [B, H, W, 18]}."""
        unet = layers.UNet(self.widths, dtype=self.dtype)
        x = unet(clothing * 2 - 1, rest * 2 - 1, clothing_labels, rest_labels, target_pose)
        x = layers.ConvBlock(self.widths[0], dtype=self.dtype)(x)
        x = nn.Conv(segmentation.NUM_LABELS * 16, (1, 1), dtype=self.dtype, conv_general_dilated=layers.pointwise)(x)
        return {"segmentation": layers.depth_to_space(x.astype(jnp.float32), 4)}


def loss(outputs: dict, target_labels: jax.Array) -> dict:
    """{'cross_entropy'}: -sum_i s_t,i log s^_t,i, a mean over pixels.

    Args: target_labels [B, H, W, 18], the fraction of each label in each pixel; a pixel of none counts for nothing.
    """
    log = jax.nn.log_softmax(outputs["segmentation"])
    return {"cross_entropy": -jnp.mean(jnp.sum(target_labels * log, -1))}


LOSS_WEIGHTS = {"cross_entropy": 1.0}
