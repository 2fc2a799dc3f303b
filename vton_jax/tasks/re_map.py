"""The task of ReMapCNN, and what the tasks behind it need of it.

Conventions: see `vton_jax.tasks`; label maps as soft one-hot maps [B, H, W, 18], pose maps [B, H/4, W/4, 18].
"""

import dataclasses
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import geometry, keypoints, segmentation
from vton_jax.media import visualize
from vton_jax.models import re_map_cnn as re_map
from vton_jax.models import weights
from vton_jax.systems.lab126 import arms
from vton_jax.tasks.guided import Guided
from vton_jax.tasks.modules import load, total, untrained


def re_map_params(network: re_map.ReMapCNN, key: jax.Array, size: tuple[int, int], path: str | Path = "") -> dict:
    """ReMapCNN's parameters at a (height, width): from the file `path`, or untrained of `key`."""
    height, width = size
    image, maps = jnp.zeros((1, height, width, 3)), jnp.zeros((1, height, width, segmentation.NUM_LABELS))
    pose = jnp.zeros((1, height // 4, width // 4, keypoints.NUM_JOINTS))
    return load(path, "re_map_cnn", functools.partial(untrained, network, key, image, maps, maps, pose, pose))


def frozen_re_map(task, key: jax.Array | None = None) -> dict:
    """The ReMapCNN that a task's `re_map_weights` name: '' the released one, 'none' an untrained one."""
    path = "" if task.re_map_weights == "none" else task.re_map_weights or weights.released("re_map_cnn")
    return re_map_params(task.re_map_cnn, jax.random.PRNGKey(0) if key is None else key, task.size, path)


def re_map_terms(out: dict, x: dict, batch: dict, flow_weight: float) -> tuple[jax.Array, dict]:
    """ReMapCNN's loss on a batch.

    Args:
      out: ReMapCNN's outputs.
      x: from `Guided.prepare`.
      batch: whose true flow counts, where it knows one, at full size or as `cached_examples` keeps it.
      flow_weight: of the flow's term; 0 leaves it out.

    Returns: the total and its terms by name.
    """
    known = {n: batch[n].astype(jnp.float32) for n in ("flow", "flow_visible") if n in batch and flow_weight > 0}
    size = x["truth"].shape[1:3]
    if known and known["flow"].shape[1:3] != size:
        visible = geometry.resize(known["flow_visible"][..., None], size)[..., 0] > 0.5
        known = {"flow": geometry.resize_flow(known["flow"], size), "flow_visible": visible.astype(jnp.float32)}
    terms = re_map.loss(out, x["truth"], x["truth_labels"], known, x["garment_truth"].astype(jnp.float32))
    return total(terms, re_map.LOSS_WEIGHTS | {"flow": flow_weight}), terms


@dataclasses.dataclass
class ReMapTask(Guided):
    """ReMapCNN alone. `flow_weight` 0 leaves the talk's loss; the catalogue knows the true flow, and it helps."""

    re_map_cnn: re_map.ReMapCNN = dataclasses.field(default_factory=re_map.ReMapCNN)
    size: tuple[int, int] = (256, 192)
    layouts: str = "mixed"
    multi_path_weights: str = ""
    flow_weight: float = 0.05
    init_from: str = ""
    export: str = ""
    modules = ("re_map_cnn",)

    def init(self, key, batch):
        self._cached = "guide" in batch
        return {"re_map_cnn": re_map_params(self.re_map_cnn, key, self.size, self.init_from)}

    def _outputs(self, params, x):
        network = functools.partial(self.re_map_cnn.apply, params["re_map_cnn"])
        return arms.re_map(network, x["garment"], x["target"])

    def _loss(self, params, frozen, batch, rng):
        x = self.prepare(frozen, batch, rng)
        out = self._outputs(params, x)
        return re_map_terms(out, x, batch, self.flow_weight)

    def losses(self):
        return {"re_map_cnn": self._loss}

    def pictures(self, params, frozen, batch):
        def show(params, frozen, batch):
            x = self.prepare(frozen, batch, jax.random.PRNGKey(0))
            return x, self._outputs(params, x)

        x, out = jax.device_get(jax.jit(show)(params, frozen, jax.tree.map(lambda a: a[:6], batch)))
        rows = [
            [
                visualize.to_uint8(x["inputs"].dress_image[i]), visualize.colour_flow(out["flow"][i]),
                visualize.to_uint8(np.repeat(out["mask"][i], 3, -1)), visualize.to_uint8(out["warped"][i]),
                visualize.to_uint8(x["truth"][i]),
            ]
            for i in range(len(out["flow"]))
        ]  # fmt: skip
        return {"re_map": visualize.contact_sheet(rows, column_titles=["dress", "flow", "mask", "warped", "truth"])}
