"""Losses between images, flows and maps. Images are [B, H, W, C] in [0, 1]."""

import jax
import jax.numpy as jnp


def gradient_difference(a: jax.Array, b: jax.Array) -> jax.Array:
    """Mean absolute difference of the horizontal and vertical image gradients; a scalar."""
    rows = jnp.abs((a[:, 1:] - a[:, :-1]) - (b[:, 1:] - b[:, :-1]))
    columns = jnp.abs((a[:, :, 1:] - a[:, :, :-1]) - (b[:, :, 1:] - b[:, :, :-1]))
    return jnp.mean(rows) + jnp.mean(columns)


def masked_mean(values: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean of values [B, H, W] where mask [B, H, W] is 1; 0 for an empty mask."""
    mask = mask.astype(values.dtype)
    return jnp.sum(values * mask) / jnp.maximum(jnp.sum(mask), 1.0)


def total_variation(flow: jax.Array, inside: jax.Array) -> jax.Array:
    """(|∇x| + |∇y|) · M_not-boundary of the talk's ReMap loss, a mean.

    Args: flow [B, H, W, 2]; inside [B, H, W], 1 where no region boundary passes.
    """
    inside = inside.astype(flow.dtype)
    rows = jnp.abs(flow[:, 1:] - flow[:, :-1]).sum(-1) * inside[:, 1:] * inside[:, :-1]
    columns = jnp.abs(flow[:, :, 1:] - flow[:, :, :-1]).sum(-1) * inside[:, :, 1:] * inside[:, :, :-1]
    return jnp.mean(rows) + jnp.mean(columns)


def structural_dissimilarity(a: jax.Array, b: jax.Array) -> jax.Array:
    """1 - SSIM per pixel and channel with a separable 11-tap Gaussian (sigma 1.5), edges included by zero padding."""
    taps = jnp.exp(-0.5 * jnp.square((jnp.arange(11) - 5) / 1.5))
    taps = taps / taps.sum()
    channels = a.shape[-1]

    def blur(x):
        for shape in ((11, 1), (1, 11)):
            kernel = jnp.broadcast_to(taps.reshape(shape + (1, 1)), shape + (1, channels))
            x = jax.lax.conv_general_dilated(
                x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=channels
            )
        return x

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return 1 - top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))


def least_squares_adversarial(scores: jax.Array, real: bool) -> jax.Array:
    """Mean squared distance of a discriminator's scores from 1 (real) or 0."""
    return jnp.mean(jnp.square(scores - (1.0 if real else 0.0)))
