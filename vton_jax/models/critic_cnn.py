"""CriticCNN: whether a picture is a real frame or something that networks painted. Not in the talk, which asked people.

Conventions: image [B, H, W, 3] in [0, 1], sides multiples of 32; logits [B], above 0 for what is taken for real.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from vton_jax.models import layers


class CriticCNN(nn.Module):
    """A patch embedding, three strided blocks, and what is seen anywhere: the mean and the largest over all places."""

    widths: tuple[int, ...] = (32, 48, 64, 96)
    patch: int = 4
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array) -> jax.Array:
        x = layers.PatchEmbedding(self.widths[0], self.patch, self.dtype)([image * 2 - 1])
        x = nn.silu(layers.Norm(self.dtype)(x))
        for width in self.widths[1:]:
            x = layers.ConvBlock(width, stride=2, dtype=self.dtype)(x)
        seen = jnp.concatenate([x.mean((1, 2)), x.max((1, 2))], -1)
        return nn.Dense(1, dtype=jnp.float32)(seen.astype(jnp.float32))[:, 0]


def loss(logits: jax.Array, real: jax.Array) -> dict:
    """{'cross_entropy'} of logits [B] against real [B], 1 or 0; half of a batch is real: balanced classes."""
    return {"cross_entropy": optax.losses.sigmoid_binary_cross_entropy(logits, real).mean()}
