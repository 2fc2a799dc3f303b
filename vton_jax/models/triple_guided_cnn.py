"""TripleGuidedCNN (Lab126 talk): puts I_dress on I_input, guided by S_output, S_input and S_dress.

Conventions: images [B, H, W, 3] in [0, 1]; label maps as soft one-hot maps [B, H, W, 18]. The network paints an image
and three weights that sum to 1 a pixel: painted, copied from I_input at the same place (the background), copied from
the dress image at the same place (which is where ReMapCNN, before it or trained with it, has put the dress).
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from vton_jax.models import layers, losses


class TripleGuidedCNN(nn.Module):
    widths: tuple[int, ...] = (96, 128, 160)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        input_image: jax.Array,
        dress_image: jax.Array,
        s_output: jax.Array,
        s_input: jax.Array,
        s_dress: jax.Array,
    ) -> dict[str, jax.Array]:
        """Returns {'image' [B, H, W, 3], 'painted', 'weights' [B, H, W, 3] (painted, input, dress)}."""
        unet = layers.UNet(self.widths, dtype=self.dtype)
        x = unet(input_image * 2 - 1, dress_image * 2 - 1, s_output, s_input, s_dress)
        x = layers.ConvBlock(self.widths[0], dtype=self.dtype)(x)
        x = nn.Conv(6 * 16, (3, 3), dtype=self.dtype)(x).astype(jnp.float32)
        return layers.mixture(layers.depth_to_space(x, 4), input_image, dress_image)


def loss(outputs: dict, truth: jax.Array, garment: jax.Array) -> dict:
    """{'l1', 'garment', 'detail', 'structure'}: the talk gives none for this network; these are ours.

    Args: truth [B, H, W, 3]; garment [B, H, W], 1 on the donated garment in the truth.
    """
    error = jnp.abs(outputs["image"] - truth).mean(-1)
    return {
        "l1": jnp.mean(error),
        "garment": losses.masked_mean(error, garment),
        "detail": losses.gradient_difference(outputs["image"], truth),
        "structure": jnp.mean(losses.structural_dissimilarity(outputs["image"], truth)),
    }


LOSS_WEIGHTS = {"l1": 2.0, "garment": 0.5, "detail": 1.0, "structure": 0.3}
