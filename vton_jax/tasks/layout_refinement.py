"""The task of LayoutRefinementCNN: coarse maps, and what they should have become.

Conventions: see `vton_jax.tasks`. It learns from cached examples of the kind `coarse`, see `cached_examples`.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import segmentation
from vton_jax.core.types import Layout
from vton_jax.inputs import cached_examples
from vton_jax.media import visualize
from vton_jax.models import layout_refinement_cnn as refinement
from vton_jax.tasks.modules import TaskDefaults, check_size, load, total

_SHOWN = 8  # examples on a sheet


def _inputs(batch: dict) -> tuple[jax.Array, jax.Array]:
    nothing = jnp.zeros_like(batch["pose_keypoints"]), jnp.zeros_like(batch["pose_visible"])
    joints = {who: (batch[f"{who}_keypoints"], batch[f"{who}_visible"]) for who in ("pose", "dress")}
    layouts = {who: Layout(batch[f"{who}_labels"], *joints.get(who, nothing)) for who in ("user", "pose", "dress")}
    given = refinement.Given(**layouts, garment_type=batch["garment_type"])
    return segmentation.one_hot(batch["coarse"].astype(jnp.int32)), refinement.maps_of(given, batch["coarse"].shape[1:])


@dataclasses.dataclass
class LayoutRefinementTask(TaskDefaults):
    """LayoutRefinementCNN, from examples of `python -m vton_jax.cache_examples --kind=coarse`."""

    layout_refinement_cnn: refinement.LayoutRefinementCNN = dataclasses.field(
        default_factory=refinement.LayoutRefinementCNN
    )
    size: tuple[int, int] = (256, 192)
    init_from: str = ""
    export: str = ""
    modules = ("layout_refinement_cnn",)

    def __post_init__(self):
        check_size(self.size, 16, "LayoutRefinementCNN")

    def open_batches(self, dataset, batch_size, seed, size, split):
        return cached_examples.open_coarse(dataset, batch_size, seed, size, split)

    def init(self, key, batch):
        one = jax.tree.map(lambda a: jnp.zeros((1, *a.shape[1:]), a.dtype), dict(batch))
        make = jax.jit(lambda: self.layout_refinement_cnn.init(key, *_inputs(one)))
        return {"layout_refinement_cnn": load(self.init_from, "layout_refinement_cnn", make)}

    def _outputs(self, params, batch):
        return self.layout_refinement_cnn.apply(params["layout_refinement_cnn"], *_inputs(batch))

    def _loss(self, params, frozen, batch, rng):
        del frozen, rng
        terms = refinement.loss(self._outputs(params, batch), batch["truth"].astype(jnp.int32))
        return total(terms, refinement.LOSS_WEIGHTS), terms

    def losses(self):
        return {"layout_refinement_cnn": self._loss}

    def pictures(self, params, frozen, batch):
        del frozen
        batch = jax.tree.map(lambda a: a[:_SHOWN], batch)
        refined = jax.device_get(jax.jit(lambda *a: self._outputs(*a)["segmentation"].argmax(-1))(params, batch))
        shown = (batch["dress_labels"], batch["pose_labels"], batch["coarse"], refined, batch["truth"])
        rows = [[visualize.colour_segmentation(np.asarray(a)) for a in row] for row in zip(*shown, strict=True)]
        titles = ["garment", "pose", "coarse", "refined", "truth"]
        return {"layouts": visualize.contact_sheet(rows, column_titles=titles)}
