"""ParserCNN: reads the labels of what is visible in a photo, sharply: a U-Net whose skips carry what no latent can.

Conventions: image [B, H, W, 3] in [0, 1], sides multiples of 32; label logits [B, H, W, 18] of ATR's table. All is
convolution, so any such size can be read; the released weights have learned people about as tall as 256 pixels.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from vton_jax.core import segmentation
from vton_jax.models import layers


class ParserCNN(nn.Module):
    """A U-Net (Ronneberger et al. 2015) on 2x2 patches; `widths` are the channels at strides 2, 4, 8, 16 and 32.

    Stride 2 has few channels and no residual block, since convolutions there cost most on a CPU. At stride 32 the mean
    over the picture is added, which tells every place what the whole is.
    """

    widths: tuple[int, ...] = (32, 64, 128, 144, 160)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array) -> dict[str, jax.Array]:
        """Returns {'segmentation' (logits, stride 1)}."""

        def across(x, width):
            return nn.Conv(width, (1, 1), dtype=self.dtype, conv_general_dilated=layers.pointwise)(x)

        x = layers.space_to_depth((image * 2 - 1).astype(self.dtype), 2)
        x = layers.ConvBlock(self.widths[0], dtype=self.dtype)(x)
        skips = []
        for width in self.widths[1:]:
            skips.append(x)
            x = layers.ConvBlock(width, stride=2, dtype=self.dtype)(x)
            if width == self.widths[-1]:
                x = x + nn.Dense(width, dtype=self.dtype)(x.mean((1, 2), keepdims=True))
            x = layers.ResidualBlock(dtype=self.dtype)(x)
        for width, skip in zip(self.widths[-2::-1], skips[::-1], strict=True):
            x = layers.ConvBlock(width, dtype=self.dtype)(layers.upsample(across(x, width)) + across(skip, width))
            if width == self.widths[1]:
                x = layers.ResidualBlock(dtype=self.dtype)(x)
        logits = across(x, 4 * segmentation.NUM_LABELS).astype(jnp.float32)
        return {"segmentation": layers.depth_to_space(logits, 2)}


# Labels that cover few pixels count a little more in the cross-entropy. More than this widens the person into what is
# behind: with weights of these squared, dividing the probabilities by their roots gained .006 of the person's IoU.
_RARE = {
    "hat": 1.4, "hair": 1.25, "sunglasses": 1.7, "skirt": 1.2, "dress": 1.1, "belt": 1.6, "left-shoe": 1.35,
    "right-shoe": 1.35, "face": 1.25, "left-leg": 1.35, "right-leg": 1.35, "left-arm": 1.5, "right-arm": 1.5,
    "bag": 1.2, "scarf": 1.4,
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
