"""FiNet's networks (X. Han and others, "FiNet: Compatible and Diverse Fashion Image Inpainting", ICCV 2019).

One network serves both stages: a U-Net that fills a region of a person, told what by a latent z. An encoder sees the
garment that is there and gives the posterior q(z | x); the compatibility encoder sees the garments around it and gives
the Gaussian p(z | x_c), the prior that the posterior is pulled to and from which samples are drawn.

    shape:       layout of eight classes = G_s(person, layout without the region, z_s),  cross-entropy + KL(q || p)
    appearance:  picture = G_a(layout, picture without the region, z_a),  L1, perceptual and style + KL(q || p)

Where the context is dropped, as often as the training says, the prior is N(0, I): that is sampling without
compatibility. By the re-implementation z has 8 numbers; widths, the crops' size and where z enters are ours, and so is
the sketch, a small decoder of the garment's crop from z alone, through which encoders learn from more garments than
the U-Net has time to paint.

Conventions: pictures [B, H, W, C], sides multiples of 16, in [0, 1]; crops [B, 32, 32, C]; a Gaussian is (mean,
log-variance), [B, N] each.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from vton_jax.models import layers

SKETCH = 8  # side of the sketch
_LOG_VARIANCE = (-8.0, 2.0)


class Gaussian(NamedTuple):
    """Independent normal distributions."""

    mean: jax.Array
    log_variance: jax.Array

    def sample(self, noise: jax.Array) -> jax.Array:
        """mean + standard deviation * noise, by which gradients reach both."""
        return self.mean + jnp.exp(0.5 * self.log_variance) * noise


def standard(count: int, latent_size: int) -> Gaussian:
    """N(0, I), of `count` rows."""
    return Gaussian(*[jnp.zeros((count, latent_size))] * 2)


def divergence(q: Gaussian, p: Gaussian) -> jax.Array:
    """KL(q || p) of each latent number, [B, N], in nats."""
    ratio = q.log_variance - p.log_variance
    return 0.5 * (jnp.exp(ratio) + jnp.square(q.mean - p.mean) * jnp.exp(-p.log_variance) - 1 - ratio)


def pull(q: Gaussian, p: Gaussian, free_bits: float) -> tuple[jax.Array, jax.Array]:
    """(loss, KL): KL(q || p) with free bits for the posterior, whole for the prior; scalars in nats a sample.

    A latent number whose mean KL over the batch is below `free_bits` is not pulled further, so that the posterior does
    not collapse (D. Kingma and others, NeurIPS 2016, appendix C.8); the prior follows the posterior in any case.
    """
    stop = jax.tree.map(jax.lax.stop_gradient, (q, p))
    of_q = jnp.maximum(divergence(q, stop[1]).mean(0), free_bits).sum()
    of_p = divergence(stop[0], p).mean(0).sum()
    return of_q + of_p, jax.lax.stop_gradient(of_p)


class GaussianEncoder(nn.Module):
    """Pictures -> a Gaussian. Without norms, which would take a garment's own brightness away."""

    latent_size: int = 8
    widths: tuple[int, ...] = (32, 48, 64)
    hidden: int = 96
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, *parts: jax.Array) -> Gaussian:
        x = nn.silu(layers.PatchEmbedding(self.widths[0], dtype=self.dtype)(parts))
        for width in self.widths[1:]:
            x = nn.silu(nn.Conv(width, (3, 3), (2, 2), dtype=self.dtype)(x))
        x = nn.silu(nn.Dense(self.hidden, dtype=self.dtype)(x.reshape(x.shape[0], -1)))
        small = nn.initializers.variance_scaling(0.1, "fan_in", "truncated_normal")
        x = nn.Dense(2 * self.latent_size, dtype=self.dtype, kernel_init=small)(x).astype(jnp.float32)
        mean, log_variance = jnp.split(x, 2, -1)
        return Gaussian(mean, jnp.clip(log_variance, *_LOG_VARIANCE))


class FinetCNN(nn.Module):
    """A stage of FiNet. `outputs`: channels of what it fills in, logits of classes or colours."""

    outputs: int = 8
    latent_size: int = 8
    widths: tuple[int, ...] = (32, 64, 96)
    encoder_widths: tuple[int, ...] = (32, 48, 64)
    sketch_channels: int = 1
    dtype: Any = jnp.float32

    def setup(self):
        options = {"latent_size": self.latent_size, "dtype": self.dtype}
        self.encoder = GaussianEncoder(widths=self.encoder_widths, **options)
        self.compatibility = GaussianEncoder(**options)
        self.unet = layers.UNet(self.widths, dtype=self.dtype)
        self.block = layers.ConvBlock(self.widths[0], dtype=self.dtype)
        self.modulation = nn.Dense(2 * self.widths[0], dtype=self.dtype)
        self.last = nn.Conv(self.outputs * 16, (3, 3), dtype=self.dtype)
        self.sketch_layers = [nn.Dense(64), nn.Dense(SKETCH * SKETCH * self.sketch_channels)]

    def encode(self, *parts: jax.Array) -> Gaussian:
        """The posterior q(z | x) of the garment that is there."""
        return self.encoder(*parts)

    def prior(self, *parts: jax.Array) -> Gaussian:
        """The compatibility encoder's p(z | x_c), of what stays."""
        return self.compatibility(*parts)

    def sketch(self, z: jax.Array, kind: jax.Array) -> jax.Array:
        """A garment's crop from z [B, N] and its kind [B, K] alone: [B, 8, 8, C] in [0, 1]."""
        x = nn.silu(self.sketch_layers[0](jnp.concatenate([z, kind], -1)))
        return nn.sigmoid(self.sketch_layers[1](x)).reshape(-1, SKETCH, SKETCH, self.sketch_channels)

    def fill(self, parts: tuple[jax.Array, ...], z: jax.Array, kind: jax.Array) -> jax.Array:
        """What is filled in, [B, H, W, outputs], before a softmax or sigmoid.

        Args: parts: those of `layers.PatchEmbedding`, the first of full size. z: [B, N]. kind: [B, K], one-hot.
        """
        height, width = parts[0].shape[1:3]
        told = jnp.concatenate([z, kind], -1)
        everywhere = jnp.broadcast_to(told[:, None, None], (len(told), height // 4, width // 4, told.shape[-1]))
        x = self.block(self.unet(*parts, everywhere))
        scale, shift = jnp.split(self.modulation(nn.silu(told.astype(self.dtype)))[:, None, None], 2, -1)
        return layers.depth_to_space(self.last(nn.silu(x * (1 + scale) + shift)).astype(jnp.float32), 4)

    def __call__(self, parts, target, context, kind, noise) -> dict[str, Any]:
        """Everything at once, for initialisation. `target` and `context` are what `encode` and `prior` take; where they
        are empty, z is `noise` and there is no such encoder."""
        q = self.encode(*target) if target else standard(*noise.shape)
        p = self.prior(*context) if context else standard(*noise.shape)
        z = q.sample(noise)
        return {"q": q, "p": p, "filled": self.fill(parts, z, kind), "sketch": self.sketch(z, kind)}


def shape_loss(logits: jax.Array, classes: jax.Array, mask: jax.Array) -> dict:
    """{'cross_entropy'}: the mean over the region of logits [B, H, W, 8] against classes [B, H, W]; mask [B, H, W]."""
    picked = (jax.nn.log_softmax(logits) * jax.nn.one_hot(classes, logits.shape[-1])).sum(-1)  # no scatter backwards
    weight = mask.astype(logits.dtype)
    return {"cross_entropy": -(picked * weight).sum() / jnp.maximum(weight.sum(), 1.0)}


def appearance_loss(painted: jax.Array, truth: jax.Array, mask: jax.Array, garment: jax.Array) -> dict:
    """{'l1', 'garment', 'detail'}: means over the region and over the garment in it, and of gradients in it.

    Args: painted, truth: [B, H, W, 3]. mask, garment: [B, H, W].
    """
    error = jnp.abs(painted - truth).mean(-1)
    weight, worn = (part.astype(painted.dtype) for part in (mask, garment))
    difference = (painted - truth) * weight[..., None]
    detail = jnp.abs(jnp.diff(difference, axis=1)).sum() + jnp.abs(jnp.diff(difference, axis=2)).sum()
    area = jnp.maximum(weight.sum(), 1.0)
    return {
        "l1": (error * weight).sum() / area,
        "garment": (error * worn).sum() / jnp.maximum(worn.sum(), 1.0),
        "detail": detail / (3 * area),
    }


SHAPE_WEIGHTS = {"cross_entropy": 1.0, "sketch": 1.0, "kl": 1.0, "regression": 0.5}
APPEARANCE_WEIGHTS = {"l1": 1.0, "garment": 1.0, "detail": 0.5, "sketch": 2.0, "kl": 1.0, "regression": 0.5}
