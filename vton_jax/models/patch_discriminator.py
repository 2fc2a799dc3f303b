"""PatchDiscriminator: how real the patches of a picture look, for the optional adversarial losses.

P. Isola and others, CVPR 2017, section 3.2.2; least squares and feature matching as T.-C. Wang and others have them,
CVPR 2018.

Conventions: image [B, H, W, 3] in [0, 1].
"""

import flax.linen as nn
import jax


class PatchDiscriminator(nn.Module):
    """Scores [B, h, w, 1] of pictures, and the feature maps on the way, for the optional adversarial loss."""

    widths: tuple[int, ...] = (24, 48, 64)

    @nn.compact
    def __call__(self, image: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
        x, features = image - 0.5, []
        for width in self.widths:
            x = nn.leaky_relu(nn.Conv(width, (4, 4), (2, 2))(x), 0.2)
            features.append(x)
        return nn.Conv(1, (3, 3))(x), features
