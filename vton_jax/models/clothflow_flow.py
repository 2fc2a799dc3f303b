"""Stage 2 of ClothFlow, cascaded clothing flow: where in the source's clothing each pixel of the target's lies.

X. Han and others, "ClothFlow: A Flow-Based Model for Clothed Person Generation", ICCV 2019, section 3.2. Two feature
pyramids encode the source's clothing c_s with its segmentation s_s, and the clothing channels of the target
segmentation s_t. The flow is estimated at the coarsest level and refined from level to level by warping the source's
features:

    F_N = E_N([S_N, T_N])
    F_{n-1} = U(F_n) + E_{n-1}([W(S_{n-1}, U(F_n)), T_{n-1}])
    c'_s = W(c_s, U(F_1))

U doubles the size, by nearest neighbours; W is the bilinear warp. Of the last U, to the picture's size, we take the
bilinear form, since pictures larger than the network are warped by it.

Conventions: c_s [B, H, W, 3] in [0, 1], white off the clothing; soft label maps [B, H, W, 18]; pose maps
[B, H/4, W/4, C]; level n has a stride of 2^(n+1) pixels and its flow is in pixels of its own map. Flows are backward.
"""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import geometry, segmentation
from vton_jax.models import layers, losses

CLOTHING = np.array(sorted(segmentation.GARMENTS))  # the labels of the clothing channels
# Of pictures, and of VGG16's five layers; those of re-implementations, since the paper's text names none.
ROI_WEIGHTS = (1.0, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
_PRESENT = 1e-3  # of a picture: less of a part is none


def _doubled(x: jax.Array, other: jax.Array) -> jax.Array:
    """U: maps of twice the size, cut to that of `other`, whose sides may be odd."""
    return layers.upsample(x)[:, : other.shape[1], : other.shape[2]]


class Pyramid(nn.Module):
    """A feature pyramid (T. Lin and others, CVPR 2017): each level a strided convolution and a residual block."""

    widths: tuple[int, ...]
    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, *parts: jax.Array) -> list[jax.Array]:
        """Maps [B, h, w, features] at strides 4, 8, ..."""
        x, levels = layers.PatchEmbedding(self.widths[0], dtype=self.dtype)(parts), []
        for level, width in enumerate(self.widths):
            if level:
                x = layers.ConvBlock(width, stride=2, dtype=self.dtype)(x)
            x = layers.ResidualBlock(dtype=self.dtype)(x)
            levels.append(x)
        top, maps = None, []
        for x in reversed(levels):
            name = f"Lateral_{len(maps)}"
            options = {"dtype": self.dtype, "conv_general_dilated": layers.pointwise, "name": name}
            lateral = nn.Conv(self.features, (1, 1), **options)(x)
            top = lateral if top is None else _doubled(top, lateral) + lateral
            maps.append(nn.Conv(self.features, (3, 3), dtype=self.dtype, name=f"Smooth_{len(maps)}")(top))
        return maps[::-1]


class Estimator(nn.Module):
    """E_n: two convolutions from the features of both pyramids to a flow [B, h, w, 2], in pixels there."""

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, source: jax.Array, target: jax.Array) -> jax.Array:
        x = layers.ConvBlock(self.features, dtype=self.dtype)(jnp.concatenate([source, target], -1))
        return nn.Conv(2, (3, 3), dtype=jnp.float32, kernel_init=nn.initializers.normal(1e-2))(x.astype(jnp.float32))


class ClothFlowFlow(nn.Module):
    """The cascade. `cascade` False estimates the finest flow alone, at once; `layout` False shows the target pyramid
    the target pose in place of s_t; `dense`: the pose maps hold the body's surface, too.

    `joints` shows both pyramids the joints of their person or, of a garment laid flat, of its wearer. The paper has no
    such input (False): there a T-shirt's outline has to say which way its wearer looks.
    """

    widths: tuple[int, ...] = (48, 80, 96, 96)
    features: int = 48
    joints: bool = True
    cascade: bool = True
    layout: bool = True
    dense: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        clothing: jax.Array,
        clothing_labels: jax.Array,
        target_labels: jax.Array,
        source_pose: jax.Array,
        target_pose: jax.Array,
    ) -> dict[str, jax.Array]:
        """Returns {'flow' [B, H, W, 2] in pixels, and 'flow_N' ... 'flow_1' in those of their levels}."""
        size = clothing.shape[1:3]
        seen = (source_pose,) if self.joints else ()
        pyramid = dict(widths=self.widths, features=self.features, dtype=self.dtype)
        source = Pyramid(**pyramid, name="source")(clothing * 2 - 1, clothing_labels[..., CLOTHING], *seen)
        if self.layout:
            seen = (target_labels[..., CLOTHING], *((target_pose,) if self.joints or self.dense else ()))
        else:
            seen = (layers.upsample(target_pose, 4),)  # a pyramid's first part is of the picture's size
        target = Pyramid(**pyramid, name="target")(*seen)
        flows, flow = {}, None
        for n in range(len(self.widths), 0, -1) if self.cascade else [1]:
            one, other = source[n - 1], target[n - 1]
            estimate = Estimator(self.features, self.dtype, name=f"E_{n}")
            if flow is None:
                flow = estimate(one, other)  # F_N = E_N([S_N, T_N])
            else:
                up = 2 * _doubled(flow, one)  # U(F_n), in the pixels of a map of twice the size
                # F_{n-1} = U(F_n) + E_{n-1}([W(S_{n-1}, U(F_n)), T_{n-1}])
                flow = up + estimate(geometry.warp(one, up), other)
            flows[f"flow_{n}"] = flow
        return {"flow": geometry.resize_flow(flow, size), **flows}


def present(labels: jax.Array) -> jax.Array:
    """1(s_i): whether each part is there, float [B, C], of soft maps [B, H, W, C]."""
    return (labels.mean((1, 2)) > _PRESENT).astype(jnp.float32)


def structural(warped_labels: jax.Array, source_labels: jax.Array, target_labels: jax.Array) -> jax.Array:
    """`L_struct = sum_i 1(s_s,i) 1(s_t,i) |s'_s,i - s_t,i|_1`, of soft maps [B, H, W, C]; a mean over pixels."""
    both = present(source_labels) * present(target_labels)
    return jnp.mean(jnp.sum(both * jnp.abs(warped_labels - target_labels).mean((1, 2)), -1))


def roi_perceptual(
    warped: tuple[jax.Array, jax.Array],
    target: tuple[jax.Array, jax.Array],
    source_labels: jax.Array,
    features: Callable[[jax.Array], Sequence[jax.Array]] | None = None,
    weights: Sequence[float] = ROI_WEIGHTS,
) -> jax.Array:
    """`L_roi_perc = sum_l lambda_l sum_i 1(s_s,i) 1(s_t,i) |phi_l(s'_s,i * c'_s) - phi_l(s_t,i * c_t)|_1`.

    phi_0 is the picture itself; without `features` it is the only one. Means over places and channels.

    Args: warped: c'_s [B, H, W, 3] and s'_s [B, H, W, C]. target: c_t and s_t, likewise. source_labels: s_s. features:
    phi_1 ... of pictures [N, H, W, 3]. weights: lambda.
    """
    both = present(source_labels) * present(target[1])

    def parts(picture, labels):
        regions = labels[..., None] * picture[..., None, :]  # [B, H, W, C, 3]
        return jnp.moveaxis(regions, 3, 1).reshape(-1, *picture.shape[1:])

    one, other = parts(*warped), parts(*target)
    pairs = [(one, other)]
    if features is not None:
        pairs += zip(features(one), features(other), strict=True)
    value = 0.0
    for weight, (a, b) in zip(weights, pairs, strict=False):
        distance = jnp.abs(a - b).mean((1, 2, 3)).reshape(both.shape)
        value = value + weight * jnp.mean(jnp.sum(both * distance, -1))
    return value


def smoothness(flows: Sequence[jax.Array]) -> jax.Array:
    """`L_smt = sum_n |grad F_n|_1`: the total variation of the offsets, not of the places that they lead to.

    A mean over places; flows [B, h, w, 2] are measured as samplers do, a picture being two units wide and high.
    """
    total = 0.0
    for flow in flows:
        flow = flow * (2 / jnp.array([flow.shape[2], flow.shape[1]]))
        total = total + jnp.mean(jnp.abs(flow[:, 1:] - flow[:, :-1]).sum(-1))
        total = total + jnp.mean(jnp.abs(flow[:, :, 1:] - flow[:, :, :-1]).sum(-1))
    return total


def teacher(flows: dict[str, jax.Array], truth: jax.Array, visible: jax.Array) -> jax.Array:
    """The distance from a true flow, which is not in the paper: sum_n 2^(1-n) mean sqrt(d_n^2 + 1) - 1.

    d_n is in pixels of the picture, where the flow is known. Args: flows: 'flow_n' [B, h, w, 2]. truth [B, H, W, 2] and
    visible [B, H, W], at the picture's size.
    """
    total, known = 0.0, visible.astype(jnp.float32)[..., None]
    for name, flow in flows.items():
        factor = truth.shape[1] // flow.shape[1]
        weight = geometry.block_means(known, factor)
        wanted = geometry.block_means(truth * known, factor) / jnp.maximum(weight, 1e-6)
        squared = jnp.sum(jnp.square(flow * factor - wanted), -1)
        level = losses.masked_mean(jnp.sqrt(squared + 1) - 1, weight[..., 0])
        total = total + level * 2.0 ** (1 - int(name.removeprefix("flow_")))
    return total


# Structural and smoothing as re-implementations weigh them; the teacher's is a flag of the task.
LOSS_WEIGHTS = {"structural": 10.0, "roi_perceptual": 1.0, "smooth": 2.0}
