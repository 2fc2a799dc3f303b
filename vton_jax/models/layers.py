"""Blocks shared by the networks. Feature maps are [B, H, W, C]; norms are stateless, so `apply` is a pure function."""

import itertools
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np


def space_to_depth(x: jax.Array, block: int) -> jax.Array:
    """[B, H, W, C] -> [B, H/block, W/block, block² C]."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // block, block, w // block, block, c).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(b, h // block, w // block, block * block * c)


def depth_to_space(x: jax.Array, block: int) -> jax.Array:
    """The inverse of `space_to_depth`."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, block, block, c // (block * block)).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(b, h * block, w * block, c // (block * block))


def mixture(x: jax.Array, *images: jax.Array) -> dict[str, jax.Array]:
    """A picture that is painted in some places and copied in others, from maps x [B, H, W, 4 + N].

    Args: images: N pictures [B, H, W, 3] in [0, 1] that may be copied, each at its place.
    Returns: {'image' [B, H, W, 3], 'painted' [B, H, W, 3], 'weights' [B, H, W, 1 + N] (painted, then each picture)}.
    """
    painted = nn.sigmoid(x[..., :3])
    weights = nn.softmax(x[..., 3:] + jnp.array([1.0] + [0.0] * len(images)))
    image = weights[..., :1] * painted
    for index, one in enumerate(images, start=1):
        image = image + weights[..., index : index + 1] * one
    return {"image": image, "painted": painted, "weights": weights}


def upsample(x: jax.Array, factor: int = 2) -> jax.Array:
    """Nearest-neighbour upsampling by a whole factor."""
    return jnp.repeat(jnp.repeat(x, factor, axis=1), factor, axis=2)


def pointwise(x: jax.Array, kernel: jax.Array, *_, **__) -> jax.Array:
    """A 1x1 convolution as one matrix product, for `nn.Conv(conv_general_dilated=...)`: [B, H, W, C] -> [B, H, W, C'].

    The same numbers; on a CPU the kernel's gradient takes less than half the time of the convolution's.
    """
    return (x.reshape(-1, x.shape[-1]) @ kernel[0, 0]).reshape(*x.shape[:-1], kernel.shape[-1])


# How the three taps of a kernel's row (or column) add up for an even and an odd pixel of a doubled map: to the pixel
# before and the pixel itself, to the pixel itself and the one behind. [even or odd, tap of two, tap of three]
_DOUBLED_TAPS = np.array([[[1, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]])


def doubled(x: jax.Array, kernel: jax.Array, *_, **__) -> jax.Array:
    """A 3x3 convolution of `upsample(x)`, for `nn.Conv(conv_general_dilated=...)`: [B, H, W, C] -> [B, 2H, 2W, C'].

    The same function with 4/9 of the multiplications: every second row and column of the result is a 2x2 convolution of
    `x` itself (Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?"). On a CPU half the
    time, gradients too. One convolution to all four parts at once was many times slower there.
    """
    kernels = jnp.einsum("api,bqj,ijcf->abpqcf", *[_DOUBLED_TAPS.astype(kernel.dtype)] * 2, kernel)
    parts = [
        jax.lax.conv_general_dilated(
            x, kernels[a, b], (1, 1), ((1 - a, a), (1 - b, b)), dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        for a, b in itertools.product((0, 1), repeat=2)
    ]
    return depth_to_space(jnp.concatenate(parts, -1), 2)


class PatchEmbedding(nn.Module):
    """A convolution of `patch` x `patch` pixels with that stride over several inputs, joined along their channels.

    `parts` are [B, H, W, C'] or, where all pixels of a patch hold the same, [B, H/patch, W/patch, C']. Returns
    [B, H/patch, W/patch, features]. Parameters and function are those of `nn.Conv` on the joined inputs; as matrix
    products it needs no joined full-size array, and the gradient of a part that needs none is spared.
    """

    features: int
    patch: int = 4
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, parts: Sequence[jax.Array]) -> jax.Array:
        height = max(part.shape[1] for part in parts)
        channels = sum(part.shape[-1] for part in parts)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (self.patch, self.patch, channels, self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        total, first = bias.astype(self.dtype), 0
        for part in parts:
            taps = kernel[:, :, first : first + part.shape[-1]]
            first += part.shape[-1]
            if part.shape[1] == height:
                part, taps = space_to_depth(part.astype(self.dtype), self.patch), taps.reshape(-1, self.features)
            else:
                taps = taps.sum((0, 1))
            total = total + pointwise(part.astype(self.dtype), taps.astype(self.dtype)[None, None])
        return total


class Norm(nn.Module):
    """GroupNorm with 8 channels or more a group."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x):
        groups = max(1, min(16, x.shape[-1] // 8))
        while x.shape[-1] % groups:
            groups -= 1
        return nn.GroupNorm(num_groups=groups, dtype=self.dtype)(x)


class ConvBlock(nn.Module):
    """Convolution, norm, SiLU. With `doubled` it is the convolution of `upsample(x)`, to twice the sides."""

    features: int
    stride: int = 1
    kernel: int = 3
    doubled: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x):
        size, stride = (self.kernel,) * 2, (self.stride,) * 2
        convolve = doubled if self.doubled else pointwise if self.kernel == 1 else None
        x = nn.Conv(self.features, size, stride, use_bias=False, dtype=self.dtype, conv_general_dilated=convolve)(x)
        return nn.silu(Norm(self.dtype)(x))


class ResidualBlock(nn.Module):
    """x + conv(block(x)), the last norm's scale starting at a tenth so that depth does not hurt early on."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x):
        y = ConvBlock(x.shape[-1], dtype=self.dtype)(x)
        y = nn.Conv(
            x.shape[-1],
            (3, 3),
            dtype=self.dtype,
            kernel_init=nn.initializers.variance_scaling(0.05, "fan_in", "truncated_normal"),
        )(y)
        return x + y


class Attention(nn.Module):
    """Self-attention over all places of a small map, with a learned embedding of the place."""

    heads: int = 4
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x):
        b, h, w, c = x.shape
        place = self.param("place", nn.initializers.normal(0.02), (h * w, c))
        tokens = Norm(self.dtype)(x).reshape(b, h * w, c) + place.astype(self.dtype)
        out = nn.MultiHeadDotProductAttention(self.heads, dtype=self.dtype)(tokens)
        return x + out.reshape(b, h, w, c)


class UNet(nn.Module):
    """A U-Net on a 4x4-patch embedding (`patch`): all work at a quarter of the resolution and below.

    `widths` are the channels at strides 4, 8, 16. Attention at the last stride lets any place reach any other, which is
    what moving a dress across a body needs. Its inputs are those of `PatchEmbedding`. Returns features at stride 4.
    """

    widths: tuple[int, ...] = (96, 128, 160)
    patch: int = 4
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, *parts: jax.Array) -> jax.Array:
        x = PatchEmbedding(self.widths[0], self.patch, self.dtype, name="Conv_0")(parts)
        skips = []
        for level, width in enumerate(self.widths):
            if level:
                x = ConvBlock(width, stride=2, dtype=self.dtype)(x)
            x = ResidualBlock(dtype=self.dtype)(x)
            skips.append(x)
        x = Attention(dtype=self.dtype)(x)
        x = ResidualBlock(dtype=self.dtype)(x)
        x = Attention(dtype=self.dtype)(x)
        names = (f"Conv_{number}" for number in itertools.count(1))
        for width, skip in zip(self.widths[-2::-1], skips[-2::-1], strict=True):
            x, skip = (
                nn.Conv(width, (1, 1), dtype=self.dtype, conv_general_dilated=pointwise, name=next(names))(part)
                for part in (x, skip)
            )
            x = upsample(x) + skip
            x = ConvBlock(width, dtype=self.dtype)(x)
            x = ResidualBlock(dtype=self.dtype)(x)
        return x
