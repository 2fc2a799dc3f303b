"""ParserCNN: reads the labels of what is visible in a photo, sharply: a U-Net whose skips carry what no latent can.

Alphabet: image [B, H, W, 3] in [0, 1], sides multiples of 32; label logits [B, H/2, W/2, 18] of ATR's table. All is
convolution, so any such size can be read; the released weights have learned people about as tall as 256 pixels.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from vton_jax import layers, segmentation


class ParserCNN(nn.Module):
    """A U-Net (Ronneberger et al. 2015) on 4x4 patches; `widths` are the channels at strides 4, 8, 16 and 32.

    Little happens at stride 4, where convolutions cost most on a CPU. At stride 32 the mean over the picture is added,
    which tells every place what the whole is.
    """

    widths: tuple[int, ...] = (48, 96, 160, 160)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array) -> dict[str, jax.Array]:
        """Returns {'segmentation' (logits, stride 2)}."""
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
        logits = nn.Conv(4 * segmentation.NUM_LABELS, (1, 1), dtype=jnp.float32)(x.astype(jnp.float32))
        return {"segmentation": layers.depth_to_space(logits, 2)}


# Labels that cover few pixels count more in the cross-entropy, by about the root of their rarity.
_RARE = {
    "background": 0.6, "hat": 2.0, "hair": 1.6, "sunglasses": 3.0, "skirt": 1.4, "dress": 1.2, "belt": 2.5,
    "left-shoe": 1.8, "right-shoe": 1.8, "face": 1.6, "left-leg": 1.8, "right-leg": 1.8, "left-arm": 2.2,
    "right-arm": 2.2, "bag": 1.4, "scarf": 2.0,
}  # fmt: skip


def loss(outputs: dict, labels: jax.Array) -> dict:
    """{'segmentation' (cross-entropy), 'dice'} against labels [B, H, W]; `UNKNOWN` pixels count in neither.

    Dice (Milletari et al. 2016) is summed over the batch and averaged over the labels that the batch shows: it weighs
    a label by its overlap, however few its pixels.
    """
    logits = outputs["segmentation"]
    target = segmentation.soft_maps(labels, labels.shape[1] // logits.shape[1])
    weights = jnp.array([_RARE.get(name, 1.0) for name in segmentation.LABELS])
    log_probabilities = jax.nn.log_softmax(logits)
    probabilities = jnp.exp(log_probabilities) * target.sum(-1, keepdims=True)
    overlap, mass = (jnp.sum(a, (0, 1, 2)) for a in (probabilities * target, probabilities + target))
    present = jnp.sum(target, (0, 1, 2)) > 0
    dice = jnp.sum(jnp.where(present, 1 - (2 * overlap + 1) / (mass + 1), 0.0)) / jnp.maximum(present.sum(), 1)
    return {"segmentation": -jnp.mean(jnp.sum(weights * target * log_probabilities, -1)), "dice": dice}


LOSS_WEIGHTS = {"segmentation": 1.0, "dice": 0.5}
