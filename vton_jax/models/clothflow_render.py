"""Stage 3 of ClothFlow, rendering: G([c'_s, I_s, s_t, p_t]).

X. Han and others, "ClothFlow: A Flow-Based Model for Clothed Person Generation", ICCV 2019, section 3.3: a U-Net from
the warped clothing c'_s, the source's picture I_s, the target segmentation s_t and pose p_t to the picture; trained on
true segmentations, used on those of stage 1. Ours also says which pixels are copied, from c'_s or from I_s at its
place, so that pictures larger than the network keep their detail.

Conventions: pictures [B, H, W, 3] in [0, 1]; soft label maps [B, H, W, 18]; pose maps [B, H/4, W/4, C].
"""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from vton_jax.models import layers, losses

FEATURE_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)  # of VGG16's five layers, as re-implementations weigh them


class ClothFlowRender(nn.Module):
    """`layout` False leaves s_t out; `dense`: the pose maps hold the body's surface, too."""

    widths: tuple[int, ...] = (40, 72, 96)
    layout: bool = True
    dense: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, warped: jax.Array, source_image: jax.Array, target_labels: jax.Array, target_pose: jax.Array
    ) -> dict[str, jax.Array]:
        """Returns {'image' [B, H, W, 3], 'painted', 'weights' [B, H, W, 3] (painted, I_s, c'_s)}."""
        unet = layers.UNet(self.widths, dtype=self.dtype)
        labels = (target_labels,) if self.layout else ()
        x = unet(warped * 2 - 1, source_image * 2 - 1, *labels, target_pose)
        x = layers.ConvBlock(self.widths[0], dtype=self.dtype)(x)
        x = nn.Conv(6 * 16, (3, 3), dtype=self.dtype)(x).astype(jnp.float32)
        return layers.mixture(layers.depth_to_space(x, 4), source_image, warped)


def loss(
    image: jax.Array, truth: jax.Array, features: Callable[[jax.Array], Sequence[jax.Array]] | None = None
) -> dict:
    """{'l1'} and, with `features`, 'perceptual' and 'style'; pictures [B, H, W, 3].

    `L_perc = sum_l lambda_l |phi_l(I) - phi_l(I_t)|_1`, phi_0 being the picture ('l1'), and
    `L_style = sum_l lambda_l |G_l(I) - G_l(I_t)|_1` of Gram matrices G_l.

    Args: features: phi_1 ... of pictures; their number may fall short of `FEATURE_WEIGHTS`.
    """
    terms = {"l1": jnp.mean(jnp.abs(image - truth))}
    if features is not None:
        one, other = features(image), features(jax.lax.stop_gradient(truth))
        weights = FEATURE_WEIGHTS[: len(one)]
        terms["perceptual"] = losses.perceptual(one, other, weights)
        terms["style"] = losses.style(one, other, weights)
    return terms


LOSS_WEIGHTS = {"l1": 1.0, "perceptual": 1.0, "style": 1.0}
