"""Flows and warps.

Conventions: a `flow` is [..., H, W, 2], `(dx, dy)` in pixels, backward: `warp(image, flow)[y, x] = image[y + dy, x +
dx]` with bilinear sampling; zero is the identity. The top-left pixel's centre is (0, 0). `size` is (height, width).
Samples outside the image read the nearest edge pixel.
"""

import jax
import jax.numpy as jnp
import numpy as np


def grid(size: tuple[int, int]) -> jax.Array:
    """Pixel coordinates [H, W, 2] as `(x, y)`."""
    y, x = jnp.meshgrid(jnp.arange(size[0], dtype=jnp.float32), jnp.arange(size[1], dtype=jnp.float32), indexing="ij")
    return jnp.stack([x, y], axis=-1)


def sample(image: jax.Array, points: jax.Array) -> jax.Array:
    """Bilinear samples of one image [H, W, C] at points [..., 2] -> [..., C]; four flat gathers."""
    height, width, channels = image.shape
    x = jnp.clip(points[..., 0], 0, width - 1)
    y = jnp.clip(points[..., 1], 0, height - 1)
    x0 = jnp.clip(jnp.floor(x), 0, max(width - 2, 0)).astype(jnp.int32)
    y0 = jnp.clip(jnp.floor(y), 0, max(height - 2, 0)).astype(jnp.int32)
    fx = (x - x0)[..., None].astype(image.dtype)
    fy = (y - y0)[..., None].astype(image.dtype)
    right = 1 if width > 1 else 0
    below = width if height > 1 else 0
    flat = image.reshape(height * width, channels)
    index = y0 * width + x0

    def at(offset):
        return jnp.take(flat, index + offset, axis=0, mode="clip")

    top = at(0) * (1 - fx) + at(right) * fx
    bottom = at(below) * (1 - fx) + at(below + right) * fx
    return top * (1 - fy) + bottom * fy


def warp(image: jax.Array, flow: jax.Array) -> jax.Array:
    """Warps images [..., H, W, C] by backward flows [..., H', W', 2] -> [..., H', W', C].

    Where the image is an input rather than a feature, stop its gradient (`jax.lax.stop_gradient`): the flow's
    gradient alone needs no scatter and costs a fraction.
    """
    points = grid(flow.shape[-3:-1]) + flow.astype(jnp.float32)
    if image.ndim == 3:
        return sample(image, points)
    lead = image.shape[:-3]
    one = image.reshape((-1,) + image.shape[-3:])
    two = points.reshape((-1,) + points.shape[-3:])
    return jax.vmap(sample)(one, two).reshape(lead + points.shape[-3:-1] + image.shape[-1:])


def warp_nearest(image: jax.Array, points: jax.Array, fill) -> jax.Array:
    """Nearest samples of one map [H, W] at points [..., 2]; outside the map: `fill`."""
    height, width = image.shape
    x = jnp.round(points[..., 0]).astype(jnp.int32)
    y = jnp.round(points[..., 1]).astype(jnp.int32)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    value = jnp.take(image.reshape(-1), jnp.clip(y, 0, height - 1) * width + jnp.clip(x, 0, width - 1))
    return jnp.where(inside, value, fill)


def resize(image: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Bilinear resize of [..., H, W, C] to `size` with antialiasing, pixel centres aligned as in `keypoints.scale`."""
    return jax.image.resize(image, image.shape[:-3] + tuple(size) + image.shape[-1:], "bilinear")


def blur(maps: jax.Array, sigma: float, radius: int) -> jax.Array:
    """Gaussian of 2 * radius + 1 taps along rows and columns of [B, H, W, C], with zeros outside.

    As products with band matrices: on a CPU they take a tenth of the time of convolutions that keep channels apart.
    """
    batch, height, width, channels = maps.shape

    def band(side):
        steps = np.abs(np.subtract.outer(np.arange(side), np.arange(side)))
        taps = np.where(steps <= radius, np.exp(-0.5 * np.square(steps / sigma)), 0.0)
        return np.float32(taps / np.exp(-0.5 * np.square(np.arange(-radius, radius + 1) / sigma)).sum())

    maps = maps.reshape(batch * height, -1)
    maps = jnp.matmul(maps, np.kron(band(width), np.eye(channels, dtype=np.float32)), precision="highest")
    maps = maps.reshape(batch, height, -1)
    return jnp.matmul(band(height)[None], maps, precision="highest").reshape(batch, height, width, channels)


def block_means(maps: jax.Array, factor: int) -> jax.Array:
    """Means over blocks of factor x factor pixels: [..., H, W, C] -> [..., H/factor, W/factor, C]."""
    *lead, height, width, channels = maps.shape
    return maps.reshape(*lead, height // factor, factor, width // factor, factor, channels).mean((-4, -2))


def resize_flow(flow: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Resizes a flow [..., H, W, 2] and rescales its values to the new pixels."""
    factor = jnp.array([size[1] / flow.shape[-2], size[0] / flow.shape[-3]], dtype=flow.dtype)
    return resize(flow, size) * factor
