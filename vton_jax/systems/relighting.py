"""Garments that lay flat, in the light of the user's photo. Conventions: see `compositing.lighting`."""

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.compositing import lighting
from vton_jax.core import programs
from vton_jax.core.batching import in_batches
from vton_jax.core.types import Dressed, Garment, Layout, User
from vton_jax.models import shading_cnn, weights
from vton_jax.models.shading_cnn import ShadingCNN
from vton_jax.models.weights import load_network

_BATCH = 4


@programs.compiled(static=0)
def _shading(network: ShadingCNN, params, layout: Layout) -> jax.Array:
    given = shading_cnn.inputs(layout.segmentation, layout.keypoints, layout.visible)
    return jnp.square(jnp.maximum(0, network.apply(params, *given)["root"]))


class Relighting:
    """ShadingCNN, and the light of the photo that was seen last.

    Args: folder: where its weights may lie, else the released ones. Raises: UserError where these are missing.
    """

    _last: tuple[User, tuple[np.ndarray, np.ndarray]] | None = None

    def __init__(self, folder: str | Path | None = None):
        own = weights.path_of("shading_cnn", folder)
        path = own if own.is_file() else weights.released("shading_cnn")  # what was trained before has none
        self._network = load_network("shading_cnn", ShadingCNN, path)[:2]

    def shading(self, layouts: Layout) -> np.ndarray:
        """How light falls in layouts [T]: float32 [T, H/2, W/2, 5]."""
        return np.asarray(in_batches(lambda part: _shading(*self._network, part), layouts, _BATCH, full=True))

    def _light_of(self, user: User) -> tuple[np.ndarray, np.ndarray]:
        """The light [5] of a user's photo, and how bright a white surface is in it [H, W]."""
        last = self._last
        if last is None or last[0] is not user:
            shading = self.shading(jax.tree.map(lambda a: np.asarray(a)[None], user.layout))[0]
            labels = np.asarray(user.layout.segmentation)
            light = lighting.light_of(user.image, labels, shading, np.asarray(user.shown))
            self._last = last = user, (light, lighting.brightness(shading, light, labels))
        return last[1]

    def lit(self, user: User | None, targets: Layout) -> tuple[np.ndarray | None, np.ndarray]:
        """How bright white surfaces are in the user's photo [H, W], and in targets [T, H, W], in the photo's light.

        Args: user: None where somebody moves, whose targets are their own photos: in the usual light.
        """
        light = np.float32(lighting.CHOSEN.usual) if user is None else self._light_of(user)[0]
        labels = np.asarray(targets.segmentation)
        each = zip(self.shading(targets), labels, strict=True)
        there = np.stack([lighting.brightness(shading, light, of) for shading, of in each])
        return None if user is None else self._light_of(user)[1], there


def relit(dressed: Dressed, garments: Sequence[Garment], bright: np.ndarray) -> Dressed:
    """`dressed` [T] with what lay flat as it looks worn. Args: bright: of the targets, see `Relighting.lit`."""
    flat = [bool(np.all(garment.flat)) for garment in garments]
    if not any(flat):
        return dressed
    weights_of = (dressed.garment_weight, *(weight for _, weight in dressed.besides))
    worn = sum(np.asarray(weight) for weight, lay in zip(weights_of, flat, strict=True) if lay)
    factors = np.stack([lighting.as_worn(*pair) for pair in zip(bright, worn, strict=True)])
    image = np.asarray(dressed.image) * (1 + worn * (factors - 1))[..., None]
    return dressed.replace(image=np.clip(image, 0, 1))
