"""A stand-in for LPIPS where VGG's and AlexNet's weights are not at hand: the same distance over ParserCNN's features.

R. Zhang and others, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018: features of
unit length a place, squared differences, a mean over places and layers; without learned weights of the channels. Its
numbers do not compare with LPIPS, nor between different weights of ParserCNN.
"""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core.batching import in_batches
from vton_jax.models import weights
from vton_jax.models.parser_cnn import ParserCNN
from vton_jax.reading.photo_parser import PhotoParser

_LAYERS = tuple(f"ConvBlock_{i}" for i in range(1, 5))  # the encoder's, at strides 4, 8, 16 and 32
_BATCH = 4


@functools.partial(jax.jit, static_argnums=0)
def _distance(network: ParserCNN, params, a: jax.Array, b: jax.Array) -> jax.Array:
    _, state = network.apply(
        params,
        jnp.concatenate([a, b]),
        capture_intermediates=lambda module, _: module.name in _LAYERS,
        mutable=["intermediates"],
    )
    total = 0.0
    for name in _LAYERS:
        maps = state["intermediates"][name]["__call__"][0]
        maps = maps * jax.lax.rsqrt(jnp.sum(maps**2, -1, keepdims=True) + 1e-8)
        one, two = jnp.split(maps, 2)
        total += jnp.sum((one - two) ** 2, -1).mean((1, 2)) / len(_LAYERS)
    return total


class Surrogate:
    """Distances between pictures, by the encoder of a parser of photos; 0 for equal ones, larger for less alike."""

    def __init__(self, parser: PhotoParser):
        self.name = f"features of {parser.name}, strides 4 to 32, unit length; not LPIPS"
        self._parser = parser

    def __call__(self, images: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Float pictures [T, H, W, 3] in [0, 1], sides multiples of 32 -> distances [T]."""
        return in_batches(
            lambda pair: _distance(self._parser.network, self._parser.params, *pair), (images, truth), _BATCH
        )


def open_surrogate(folder: str | Path | None = None) -> tuple[PhotoParser, Surrogate]:
    """The parser of photos with the weights in `folder`, by default the released ones, and the distance over it."""
    parser = PhotoParser(weights.path_of("parser_cnn", folder))
    return parser, Surrogate(parser)
