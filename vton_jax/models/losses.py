"""Losses between images, flows and maps. Images are [B, H, W, C] in [0, 1]."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from vton_jax.core import geometry, segmentation


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
    """`(|∇x| + |∇y|) · M_not-boundary` of the talk's ReMap loss, a mean.

    Args: flow [B, H, W, 2]; inside [B, H, W], 1 where no region boundary passes.
    """
    inside = inside.astype(flow.dtype)
    rows = jnp.abs(flow[:, 1:] - flow[:, :-1]).sum(-1) * inside[:, 1:] * inside[:, :-1]
    columns = jnp.abs(flow[:, :, 1:] - flow[:, :, :-1]).sum(-1) * inside[:, :, 1:] * inside[:, :, :-1]
    return jnp.mean(rows) + jnp.mean(columns)


def structural_dissimilarity(a: jax.Array, b: jax.Array) -> jax.Array:
    """1 - SSIM per pixel and channel with a separable 11-tap Gaussian (sigma 1.5), edges included by zero padding."""
    # One example's pictures side by side: a batch that is spread over devices stays where it is.
    together = jnp.stack([a, b, a * a + b * b, a * b], 1)
    blurred = geometry.blur(together.reshape(-1, *a.shape[1:]), 1.5, 5).reshape(together.shape)
    mean_a, mean_b, squares, product = (blurred[:, i] for i in range(4))
    variances = squares - mean_a**2 - mean_b**2
    covariance = product - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return 1 - top / ((mean_a**2 + mean_b**2 + c1) * (variances + c2))


def least_squares_adversarial(scores: jax.Array, real: bool) -> jax.Array:
    """Mean squared distance of a discriminator's scores from 1 (real) or 0."""
    return jnp.mean(jnp.square(scores - (1.0 if real else 0.0)))


def perceptual(features_a: Sequence[jax.Array], features_b: Sequence[jax.Array], weights: Sequence[float]) -> jax.Array:
    """`sum_l lambda_l mean |phi_l(a) - phi_l(b)|` of feature maps [B, h, w, C] (J. Johnson and others, ECCV 2016)."""
    pairs = zip(features_a, features_b, weights, strict=True)
    return sum(weight * jnp.mean(jnp.abs(a - b)) for a, b, weight in pairs)


_STRIDE = 16  # of AlexNet's last layers


def moved_alike(key: jax.Array, *pictures: jax.Array) -> tuple[jax.Array, ...]:
    """Pictures [B, H, W, 3], rolled by the same 0 to 15 pixels down and to the right.

    AlexNet looks at every fourth place, its later layers at every eighth and sixteenth, always the same ones: what is
    learned from its features has a lattice of these periods. By benchmarks/feature_lattice.py what repeats every 4
    pixels is 2.1 times what chance gives, every 8 2.8 times; moved by chance at every step, 0.8 and 1.3 times.
    """
    down, right = jax.random.randint(key, (2,), 0, _STRIDE)
    return tuple(jnp.roll(picture, (down, right), (1, 2)) for picture in pictures)


def gram(features: jax.Array) -> jax.Array:
    """Gram matrices [B, C, C] of feature maps [B, h, w, C], over h w C (L. Gatys and others, CVPR 2016)."""
    _, height, width, channels = features.shape
    return jnp.einsum("bhwc,bhwd->bcd", features, features) / (height * width * channels)


def style(features_a: Sequence[jax.Array], features_b: Sequence[jax.Array], weights: Sequence[float]) -> jax.Array:
    """`sum_l lambda_l mean |G_l(a) - G_l(b)|`, the distance of Gram matrices of feature maps [B, h, w, C]."""
    return perceptual([gram(a) for a in features_a], [gram(b) for b in features_b], weights)


# Labels that cover few pixels count a little more.
_RARE = {
    "hat": 1.4, "hair": 1.25, "sunglasses": 1.7, "skirt": 1.2, "dress": 1.1, "belt": 1.6, "left-shoe": 1.35,
    "right-shoe": 1.35, "face": 1.25, "left-leg": 1.35, "right-leg": 1.35, "left-arm": 1.5, "right-arm": 1.5,
    "bag": 1.2, "scarf": 1.4,
}  # fmt: skip


def labels(logits: jax.Array, truth: jax.Array) -> dict[str, jax.Array]:
    """{'segmentation' (cross-entropy over known pixels), 'dice' (Milletari et al. 2016, over the batch)}.

    Args: logits [B, H, W, 18]; truth: label ids [B, H, W], `segmentation.UNKNOWN` where not known.
    """
    target = segmentation.one_hot(truth)
    weights = jnp.array([_RARE.get(name, 1.0) for name in segmentation.LABELS])
    log_probabilities = jax.nn.log_softmax(logits)
    known = target.sum(-1)
    probabilities = jnp.exp(log_probabilities) * known[..., None]
    overlap, mass = (jnp.sum(a, (0, 1, 2)) for a in (probabilities * target, probabilities + target))
    present = jnp.sum(target, (0, 1, 2)) > 0
    dice = jnp.sum(jnp.where(present, 1 - (2 * overlap + 1) / (mass + 1), 0.0)) / jnp.maximum(present.sum(), 1)
    return {"segmentation": masked_mean(-jnp.sum(weights * target * log_probabilities, -1), known), "dice": dice}
