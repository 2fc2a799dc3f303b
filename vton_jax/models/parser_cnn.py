"""ParserCNN: reads the labels of what is visible in a photo, sharply: a U-Net whose skips carry what a latent cannot.

Alphabet: image [B, H, W, 3] in [0, 1], sides multiples of 32; label logits [B, H/2, W/2, 18] of ATR's table. The network
is convolutional, so it reads any such size; it has learned people about as tall as the picture.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from vton_jax import layers, segmentation

STRIDE = 2  # of the logits


class ParserCNN(nn.Module):
    """A U-Net on 4x4 patches (Ronneberger et al. 2015); `widths` are the channels at strides 4, 8, 16, 32.

    Little is done at stride 4, where CPUs are slowest; one mean over the picture tells every place what the whole is.
    """

    widths: tuple[int, ...] = (48, 96, 160, 160)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array) -> jax.Array:
        """RGB image -> label logits."""
        x = layers.space_to_depth((image * 2 - 1).astype(self.dtype), 4)
        x = layers.ConvBlock(self.widths[0], dtype=self.dtype)(x)
        skips = [x]
        for width in self.widths[1:-1]:
            x = layers.ConvBlock(width, stride=2, dtype=self.dtype)(x)
            x = layers.ResidualBlock(dtype=self.dtype)(x)
            skips.append(x)
        x = layers.ConvBlock(self.widths[-1], stride=2, dtype=self.dtype)(x)
        whole = nn.Dense(self.widths[-1], dtype=self.dtype)(x.mean((1, 2), keepdims=True))
        x = layers.ResidualBlock(dtype=self.dtype)(x + whole)
        for width, skip in zip(self.widths[-2::-1], skips[::-1], strict=True):
            x = layers.upsample(nn.Conv(width, (1, 1), dtype=self.dtype)(x))
            x = layers.ConvBlock(width, dtype=self.dtype)(x + nn.Conv(width, (1, 1), dtype=self.dtype)(skip))
        x = nn.Conv(4 * segmentation.NUM_LABELS, (1, 1), dtype=jnp.float32)(x.astype(jnp.float32))
        return layers.depth_to_space(x, 2)
