"""The task of ShadingCNN: how light falls on people.

Conventions: see `vton_jax.tasks`. It learns from cached examples of the kind `shading`, see `inputs.lit_people`.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.inputs import lit_people
from vton_jax.media import visualize
from vton_jax.models import shading_cnn as shading
from vton_jax.tasks.modules import TaskDefaults, check_size, load, total

_SHOWN = 8  # examples on a sheet


def _inputs(batch: dict) -> tuple[jax.Array, jax.Array]:
    return shading.inputs(*(batch[name] for name in ("segmentation", "keypoints", "visible")))


@dataclasses.dataclass
class ShadingTask(TaskDefaults):
    """ShadingCNN, from examples of `python -m vton_jax.cache_examples --kind=shading`."""

    shading_cnn: shading.ShadingCNN = dataclasses.field(default_factory=shading.ShadingCNN)
    size: tuple[int, int] = (256, 192)
    init_from: str = ""
    export: str = ""
    modules = ("shading_cnn",)

    def __post_init__(self):
        check_size(self.size, 16, "ShadingCNN")

    def open_batches(self, dataset, batch_size, seed, size, split):
        return lit_people.open_batches(dataset, batch_size, seed, size, split)

    def init(self, key, batch):
        one = jax.tree.map(lambda a: jnp.zeros((1, *a.shape[1:]), a.dtype), dict(batch))
        make = jax.jit(lambda: self.shading_cnn.init(key, *_inputs(one)))
        return {"shading_cnn": load(self.init_from, "shading_cnn", make)}

    def _root(self, params, batch):
        return self.shading_cnn.apply(params["shading_cnn"], *_inputs(batch))["root"]

    def _loss(self, params, frozen, batch, rng):
        del frozen, rng
        true = lit_people.linear(batch["shading"].astype(jnp.float32))
        terms = shading.loss(self._root(params, batch), true)
        return total(terms, shading.LOSS_WEIGHTS), terms

    def losses(self):
        return {"shading_cnn": self._loss}

    def pictures(self, params, frozen, batch):
        del frozen
        batch = jax.tree.map(lambda a: a[:_SHOWN], batch)
        root = np.asarray(jax.device_get(jax.jit(self._root)(params, batch)))
        true = np.sqrt(lit_people.linear(np.asarray(batch["shading"], np.float32)))
        grey = lambda a: visualize.to_uint8(np.repeat(np.clip(a, 0, 1)[..., None], 3, -1))  # noqa: E731
        rows = []
        for labels, found, light in zip(np.asarray(batch["segmentation"]), root, true, strict=True):
            pairs = [
                (grey(found[..., at] * (light[..., at] > 0)), grey(light[..., at])) for at in range(found.shape[-1])
            ]
            rows.append([visualize.colour_segmentation(labels), *(one for pair in pairs for one in pair)])
        names = ("everywhere", "left", "right", "front", "above")
        titles = ["layout", *(title for name in names for title in (name, "truth"))]
        return {"shading": visualize.contact_sheet(rows, column_titles=titles)}
