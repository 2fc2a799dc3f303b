"""The task of FlowRefinementCNN, and what the joint training needs of it.

Conventions: see `vton_jax.tasks`; label maps as soft one-hot maps [B, H, W, 18], pose maps [B, H/4, W/4, 18].
"""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import geometry, segmentation
from vton_jax.core.errors import UserError
from vton_jax.core.framing import to_float
from vton_jax.core.types import Garment, Layout
from vton_jax.inputs import cached_examples
from vton_jax.media import visualize
from vton_jax.models import flow_refinement_cnn as flow_refinement
from vton_jax.models import re_map_cnn as re_map
from vton_jax.tasks.guided import Guided
from vton_jax.tasks.modules import load, total
from vton_jax.tasks.re_map import frozen_re_map, re_map_outputs
from vton_jax.warping import blending, geometric_flow


def garment_and_target(batch: dict) -> tuple[Garment, Layout]:
    """The garment and the target layout of a batch of `cached_examples.open_flows`."""
    donor = Layout(batch["dress_segmentation"], batch["donor_keypoints"], batch["donor_visible"])
    garment = Garment(to_float(batch["dress_image"]), donor, batch["garment_type"], flat=None)
    return garment, Layout(batch["guide"], batch["target_keypoints"], batch["target_visible"])


def refine(network: flow_refinement.FlowRefinementCNN, params: dict, batch: dict) -> dict:
    """FlowRefinementCNN's outputs for a batch of `cached_examples.open_flows`."""
    inputs = blending.refinement_inputs(*garment_and_target(batch))
    return network.apply(params, *inputs, *(batch[n] for n in ("coarse_flow", "first_flow", "first_shown")))


def refinement_terms(out: dict, batch: dict) -> tuple[jax.Array, dict]:
    """FlowRefinementCNN's loss and its terms."""
    inside = ~segmentation.boundaries(batch["output_segmentation"].astype(jnp.int32))
    inside = inside.reshape(inside.shape[0], inside.shape[1] // 4, 4, inside.shape[2] // 4, 4).all((2, 4))
    terms = flow_refinement.loss(out, batch["flow"].astype(jnp.float32), batch["flow_visible"], inside)
    return total(terms, flow_refinement.LOSS_WEIGHTS), terms


def refinement_params(
    network: flow_refinement.FlowRefinementCNN, key: jax.Array, size: tuple[int, int], path: str | Path = ""
) -> dict:
    """FlowRefinementCNN's parameters at a (height, width): from the file `path`, or untrained of `key`."""
    height, width = size[0] // 4, size[1] // 4
    maps = lambda channels: jnp.zeros((1, height, width, channels))  # noqa: E731
    make = jax.jit(lambda: network.init(key, maps(39), maps(36), maps(2), maps(2), maps(1)[..., 0] > 0))
    return load(path, "flow_refinement_cnn", make)


@dataclasses.dataclass
class FlowRefinementTask(Guided):
    """FlowRefinementCNN behind a frozen ReMapCNN (`re_map_weights`; `none`: an untrained one).

    Either --dataset is a folder of cached examples, which holds ReMapCNN's flows as they are on the try-on path, or
    batches are drawn live and ReMapCNN runs in the step.
    """

    flow_refinement_cnn: flow_refinement.FlowRefinementCNN = dataclasses.field(
        default_factory=flow_refinement.FlowRefinementCNN
    )
    re_map_cnn: re_map.ReMapCNN = dataclasses.field(default_factory=re_map.ReMapCNN)
    size: tuple[int, int] = (256, 192)
    layouts: str = "mixed"
    multi_path_weights: str = ""
    re_map_weights: str = ""
    init_from: str = ""
    export: str = ""
    modules = ("flow_refinement_cnn",)
    _prepared = False  # by `init`, which sees a batch

    def open_batches(self, dataset, batch_size, seed, size, split):
        if cached_examples.is_folder(dataset):
            unused = ("input_image", "output_image", "input_segmentation", "mask")
            return cached_examples.open_flows(dataset, batch_size, seed, size, split, unused=unused)
        return super().open_batches(dataset, batch_size, seed, size, split)

    def init(self, key, batch):
        self._prepared = "guide" in batch
        if not {"guide", "flow"} & set(batch):
            raise UserError(
                "flow_refinement_cnn learns from --dataset=catalogue or from cached examples of --kind=flows."
            )
        return {"flow_refinement_cnn": refinement_params(self.flow_refinement_cnn, key, self.size, self.init_from)}

    def frozen(self):
        if self._prepared:
            return {}
        return super().frozen() | {"re_map_cnn": frozen_re_map(self)}

    def _read(self, frozen, batch, rng):
        """A live batch as those of `cached_examples.open_flows`."""
        x = self.prepare(frozen, batch, rng)
        coarse = re_map_outputs(self.re_map_cnn, frozen["re_map_cnn"], x)["coarse_flow"]
        donor, target = x["garment"].layout, x["target"]
        first, shown = geometric_flow.first_flow(target, x["garment"])
        visible = batch["flow_visible"][..., None].astype(jnp.float32)
        fraction = geometry.block_means(visible, 4)
        flow = geometry.block_means(batch["flow"].astype(jnp.float32) * visible, 4) / jnp.maximum(fraction, 1e-6) / 4
        return batch | {
            "dress_image": x["garment"].image * 255,
            "dress_segmentation": donor.segmentation,
            "guide": target.segmentation,
            "target_keypoints": target.keypoints,
            "target_visible": target.visible,
            "donor_keypoints": donor.keypoints,
            "donor_visible": donor.visible,
            "coarse_flow": coarse,
            "first_flow": first,
            "first_shown": shown,
            "flow": flow,
            "flow_visible": fraction[..., 0],
        }

    def _loss(self, params, frozen, batch, rng):
        batch = batch if "guide" in batch else jax.lax.stop_gradient(self._read(frozen, batch, rng))
        return refinement_terms(refine(self.flow_refinement_cnn, params["flow_refinement_cnn"], batch), batch)

    def losses(self):
        return {"flow_refinement_cnn": self._loss}

    def pictures(self, params, frozen, batch):
        def show(params, frozen, batch):
            batch = batch if "guide" in batch else self._read(frozen, batch, jax.random.PRNGKey(0))
            return batch, refine(self.flow_refinement_cnn, params["flow_refinement_cnn"], batch)

        batch, out = jax.jit(show)(params, frozen, jax.tree.map(lambda a: a[:6], batch))
        dress = jax.device_get(to_float(batch["dress_image"]))
        titles = ["dress", "true flow", "ReMapCNN", "geometry", "refined", "weight of ReMapCNN"]
        flows = (batch["flow"], batch["coarse_flow"], batch["first_flow"], out["coarse_flow"])
        rows = []
        for i in range(len(dress)):
            full = [geometry.resize_flow(jnp.asarray(flow[i], jnp.float32), self.size) for flow in flows]
            shown = [visualize.to_uint8(np.asarray(geometry.warp(dress[i], flow))) for flow in full]
            weight = geometry.resize(out["weight"][i], self.size)
            rows.append([visualize.to_uint8(dress[i]), *shown, visualize.to_uint8(np.repeat(weight, 3, -1))])
        return {"flow_refinement": visualize.contact_sheet(rows, column_titles=titles)}
