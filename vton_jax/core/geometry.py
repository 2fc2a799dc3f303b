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
    flat, index, (fx, fy), (right, below) = _corners(image, points)
    fx, fy = fx[..., None].astype(image.dtype), fy[..., None].astype(image.dtype)
    at = lambda offset: jnp.take(flat, index + offset, axis=0, mode="clip")  # noqa: E731
    top = at(0) * (1 - fx) + at(right) * fx
    bottom = at(below) * (1 - fx) + at(below + right) * fx
    return top * (1 - fy) + bottom * fy


def _corners(image: jax.Array, points: jax.Array):
    """Pixels [H * W, C], where in them the upper left one of each point's four lies, how far right and below of it the
    point does, and the offsets of the pixel to the right and of that below."""
    height, width, channels = image.shape
    x = jnp.clip(points[..., 0], 0, width - 1)
    y = jnp.clip(points[..., 1], 0, height - 1)
    x0 = jnp.clip(jnp.floor(x), 0, max(width - 2, 0)).astype(jnp.int32)
    y0 = jnp.clip(jnp.floor(y), 0, max(height - 2, 0)).astype(jnp.int32)
    offsets = 1 if width > 1 else 0, width if height > 1 else 0
    return image.reshape(height * width, channels), y0 * width + x0, (x - x0, y - y0), offsets


@jax.custom_vjp
def _sampled(images: jax.Array, points: jax.Array) -> jax.Array:
    """`sample` of images [B, H, W, C] at points [B, H', W', 2]."""
    return jax.vmap(sample)(images, points)


def _sampled_backward(residuals, cotangent: jax.Array):
    """The cotangents of images and points. Whichever nobody asks for XLA leaves out.

    A CPU's gathers and scatters are several times as fast image by image (benchmarks/warp.py); where the batch is
    shared by devices it has to stay one.
    """
    given = (*residuals, cotangent)
    if jax.default_backend() == "cpu" and jax.device_count() == 1:
        return tuple(jax.lax.map(lambda one, of=of: of(*one), given) for of in (_of_image, _of_points))
    return tuple(jax.vmap(of)(*given) for of in (_of_image, _of_points))


def _of_image(image: jax.Array, points: jax.Array, cotangent: jax.Array) -> jax.Array:
    """The cotangent of the image [H, W, C]."""
    flat, index, (fx, fy), (right, below) = _corners(image, points)
    found, channels = jnp.zeros_like(flat), flat.shape[-1]
    for offset, weight in (
        (0, (1 - fx) * (1 - fy)),
        (right, fx * (1 - fy)),
        (below, (1 - fx) * fy),
        (below + right, fx * fy),
    ):
        parts = (cotangent * weight[..., None]).astype(flat.dtype).reshape(-1, channels)
        found = found.at[(index + offset).reshape(-1)].add(parts, mode="promise_in_bounds")
    return found.reshape(image.shape)


def _of_points(image: jax.Array, points: jax.Array, cotangent: jax.Array) -> jax.Array:
    """The cotangent of the points [H', W', 2]."""
    flat, index, (fx, fy), (right, below) = _corners(image, points)
    along = lambda offset: (jnp.take(flat, index + offset, axis=0, mode="clip") * cotangent).sum(-1)  # noqa: E731
    a, b, c, d = along(0), along(right), along(below), along(below + right)
    found = jnp.stack([(b - a) * (1 - fy) + (d - c) * fy, (c - a) * (1 - fx) + (d - b) * fx], -1)
    last = jnp.array([image.shape[1] - 1, image.shape[0] - 1], points.dtype)
    # As of `jnp.clip`: nothing moves beyond an edge, half of it upon one.
    inside = lambda room: 0.5 * ((room > 0).astype(points.dtype) + (room >= 0))  # noqa: E731
    return (found * inside(points) * inside(last - points)).astype(points.dtype)


_sampled.defvjp(lambda images, points: (_sampled(images, points), (images, points)), _sampled_backward)


def warp(image: jax.Array, flow: jax.Array) -> jax.Array:
    """Warps images [..., H, W, C] by backward flows [..., H', W', 2] -> [..., H', W', C].

    Where the image is an input rather than a feature, stop its gradient (`jax.lax.stop_gradient`): the flow's
    gradient alone needs no scatter and costs a fraction.
    """
    points = grid(flow.shape[-3:-1]) + flow.astype(jnp.float32)
    lead = image.shape[:-3]
    one = image.reshape((-1,) + image.shape[-3:])
    two = points.reshape((-1,) + points.shape[-3:])
    return _sampled(one, two).reshape(lead + points.shape[-3:-1] + image.shape[-1:])


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
