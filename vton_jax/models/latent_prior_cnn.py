"""LatentPriorCNN: which latent of MultiPathCNN to expect for the user in the donor's garment in the target pose.

The backward procedure looks for the latent whose layout explains the coarse map. The coarse map shows another body's
limbs and says nothing where it is unknown, so that many latents explain it about equally well; this network says which
of them a person of the user's build, in the pose image's stance, is likely to have: the mean and the spread of a normal
distribution, the prior of a maximum a posteriori estimate. Not in the talk.

Conventions: latents are whitened (`inversion.whitening`), w [B, N]; coarse_maps [B, H/8, W/8, 18] are the fractions of
the labels in blocks of 8x8 pixels, which sum to less than 1 where the coarse map is unknown.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from vton_jax.models import layers

BLOCK = 8  # pixels a side of the blocks whose label fractions are the network's input


class LatentPriorCNN(nn.Module):
    latent_size: int = 128
    widths: tuple[int, ...] = (32, 48, 64)
    hidden: int = 128
    dropout: float = 0.1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, coarse_maps: jax.Array, w_user: jax.Array, w_pose: jax.Array, train: bool = False
    ) -> dict[str, jax.Array]:
        """Returns {'mean', 'log_scale'}: [B, N]. With `train`, give the rng 'dropout'."""
        drop = nn.Dropout(self.dropout, deterministic=not train)
        x = layers.ConvBlock(self.widths[0], dtype=self.dtype)(coarse_maps.astype(self.dtype))
        for width in self.widths[1:]:
            x = layers.ConvBlock(width, stride=2, dtype=self.dtype)(x)
        x = layers.ResidualBlock(dtype=self.dtype)(x)
        x = layers.ConvBlock(8, kernel=1, dtype=self.dtype)(x)
        x = nn.Dense(self.hidden, dtype=self.dtype)(x.reshape(x.shape[0], -1))
        x = jnp.concatenate([x, w_user.astype(self.dtype), w_pose.astype(self.dtype)], -1)
        h = drop(nn.silu(nn.Dense(self.hidden, dtype=self.dtype)(x)))
        h = h + drop(nn.silu(nn.Dense(self.hidden, dtype=self.dtype)(h)))
        change = nn.Dense(self.latent_size, dtype=self.dtype)(jnp.concatenate([x, h], -1))
        log_scale = nn.Dense(self.latent_size, dtype=self.dtype, kernel_init=nn.initializers.zeros)(h)
        return {
            "mean": w_pose + change.astype(jnp.float32),
            "log_scale": jnp.clip(log_scale.astype(jnp.float32) - 0.7, -3.0, 1.0),
        }


def loss(outputs: dict, w_output: jax.Array) -> dict:
    """{'likelihood', 'latent'}: the negative log-likelihood of the true latents w_output [B, N] without its constant,
    and the mean squared error of the mean."""
    error = outputs["mean"] - w_output
    likelihood = 0.5 * jnp.square(error * jnp.exp(-outputs["log_scale"])) + outputs["log_scale"]
    return {"likelihood": jnp.mean(likelihood), "latent": jnp.mean(jnp.square(error))}
