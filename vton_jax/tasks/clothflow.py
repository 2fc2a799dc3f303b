"""The tasks of ClothFlow's three stages, in the variants of its ablation (`systems.clothflow.variants`).

All learn from try-on examples with their truth: the clothing is the donor's, worn or laid flat, the rest of the source
is the user's, and the target is the user in the clothing, in another pose. Stages 2 and 3 learn from true
segmentations, as the paper has it. Conventions: see `vton_jax.tasks` and `systems.clothflow.stages`.
"""

import dataclasses

import jax
import jax.numpy as jnp

from vton_jax.core import geometry, segmentation
from vton_jax.core.errors import UserError
from vton_jax.core.types import Garment, Layout
from vton_jax.media import visualize
from vton_jax.models import clothflow_flow as flow_stage
from vton_jax.models import clothflow_layout as layout_stage
from vton_jax.models import clothflow_render as render_stage
from vton_jax.models import losses, lpips, lpips_weights
from vton_jax.models.weights import load_network
from vton_jax.systems.clothflow import stages, variants
from vton_jax.tasks.guided import Guided
from vton_jax.tasks.modules import check_size, load, open_perceptual, total

_SHOWN = 6  # examples on a sheet


class ClothFlowTask(Guided):
    """What the three stages share. `multiple`: of the sides that the networks take."""

    layouts = "truth"
    multiple = 32

    def __post_init__(self):
        check_size(self.size, self.multiple, type(self).__name__.removesuffix("Task"))
        if self.variant not in variants.VARIANTS:
            raise UserError(f"--variant is one of {', '.join(variants.VARIANTS)}, not '{self.variant}'.")
        stage = self.modules[0].removeprefix("clothflow_")
        if variants.weights_name(stage, self.variant) is None:
            raise UserError(f"--variant={self.variant} has no network of --model={self.modules[0]}.")
        setattr(self, self.modules[0], self._network())

    @property
    def _variant(self) -> variants.Variant:
        return variants.VARIANTS[self.variant]

    def _dummies(self) -> tuple[Garment, tuple, Layout]:
        """A garment, a rest and a target of zeros, for the shapes of the parameters."""
        labels = jnp.zeros((1, *self.size), jnp.int32)
        image, layout = jnp.zeros((1, *self.size, 3)), Layout(labels, jnp.zeros((1, 18, 2)), jnp.zeros((1, 18), bool))
        return Garment(image, layout, jnp.zeros(1, jnp.int32), jnp.zeros(1, bool)), (image, labels), layout

    def init(self, key, batch):
        del batch  # the size says it all
        (name,) = self.modules
        make = jax.jit(lambda: getattr(self, name).init(key, *self._inputs(*self._dummies())))
        return {name: load(self.init_from, name, make)}

    def losses(self):
        return {self.modules[0]: self._loss}

    def _given(self, batch, rng) -> dict:
        """`Guided.prepare`, and the rest of the source."""
        x = self.prepare({}, batch, rng)
        labels = batch["input_segmentation"]
        return x | {"rest": stages.rest_of(x["inputs"].user_image, labels, batch["garment_type"])}


# ------------------------------------------------------------------------------------------------------------- stage 1


@dataclasses.dataclass
class ClothFlowLayoutTask(ClothFlowTask):
    """Stage 1: ClothFlow's layout generation."""

    clothflow_layout: layout_stage.ClothFlowLayout = dataclasses.field(default_factory=layout_stage.ClothFlowLayout)
    size: tuple[int, int] = (256, 192)
    variant: str = "full"
    init_from: str = ""
    export: str = ""
    modules = ("clothflow_layout",)

    def _network(self):
        return self.clothflow_layout.clone(dense=self._variant.dense)

    def _inputs(self, garment, rest, target):
        return stages.layout_inputs(self.clothflow_layout.dense, garment, rest, target)

    def _loss(self, params, frozen, batch, rng):
        x = self._given(batch, rng)
        inputs = self._inputs(x["garment"], x["rest"], x["target"])
        out = self.clothflow_layout.apply(params["clothflow_layout"], *inputs)
        terms = layout_stage.loss(out, segmentation.soft_maps(x["truth_labels"], stages.HALF))
        return total(terms, layout_stage.LOSS_WEIGHTS), terms

    def pictures(self, params, frozen, batch):
        def show(params, batch):
            x = self._given(batch, jax.random.PRNGKey(0))
            given = x["garment"], x["rest"], x["target"]
            return x, stages.target_labels(self.clothflow_layout, params["clothflow_layout"], *given)

        x, labels = jax.device_get(jax.jit(show)(params, jax.tree.map(lambda a: a[:_SHOWN], batch)))
        rows = [
            [
                visualize.to_uint8(x["rest"][0][i]), visualize.to_uint8(x["garment"].image[i]),
                visualize.to_uint8(x["truth"][i]), visualize.colour_segmentation(labels[i]),
                visualize.colour_segmentation(x["truth_labels"][i]),
            ]
            for i in range(len(labels))
        ]  # fmt: skip
        return {
            "layout": visualize.contact_sheet(rows, column_titles=["rest", "clothing", "target", "layout", "truth"])
        }


# ------------------------------------------------------------------------------------------------------------- stage 2


@dataclasses.dataclass
class ClothFlowFlowTask(ClothFlowTask):
    """Stage 2: ClothFlow's cascaded clothing flow.

    `teacher_weight`: of the distance from the true flow, where the data knows it; 0 leaves the paper's losses.
    `perceptual`: a file or folder of LPIPS' weights, or `auto`, whose features count in the region-wise loss; `none`:
    its pictures alone do.
    """

    clothflow_flow: flow_stage.ClothFlowFlow = dataclasses.field(default_factory=flow_stage.ClothFlowFlow)
    size: tuple[int, int] = (256, 192)
    variant: str = "full"
    structural_weight: float = flow_stage.LOSS_WEIGHTS["structural"]
    roi_weight: float = flow_stage.LOSS_WEIGHTS["roi_perceptual"]
    smooth_weight: float = flow_stage.LOSS_WEIGHTS["smooth"]
    teacher_weight: float = 0.0
    perceptual: str = lpips_weights.NONE
    init_from: str = ""
    export: str = ""
    modules = ("clothflow_flow",)
    multiple = 64

    def _network(self):
        variant = self._variant
        changes = {"cascade": variant.flow == "cascade", "layout": variant.layout, "dense": variant.dense}
        return self.clothflow_flow.clone(**changes)

    def _inputs(self, garment, rest, target):
        del rest
        return stages.flow_inputs(self.clothflow_flow.dense, garment, target)

    def frozen(self):
        return _frozen_perceptual(self, self.clothflow_flow.dtype)

    def _loss(self, params, frozen, batch, rng):
        x = self._given(batch, rng)
        inputs = self._inputs(x["garment"], x["rest"], x["target"])
        out = self.clothflow_flow.apply(params["clothflow_flow"], *inputs)
        flows = {name: flow for name, flow in out.items() if name != "flow"}
        clothing, source, target = inputs[0], *(one[..., flow_stage.CLOTHING] for one in inputs[1:3])
        # The pictures are inputs: only the flow needs a gradient, which spares the scatter.
        together = jax.lax.stop_gradient(jnp.concatenate([clothing, source], -1))
        warped = geometry.warp(together, out["flow"])
        wanted = geometry.block_means(x["truth"], stages.HALF), target
        features = _features(self, frozen)
        terms = {
            "structural": flow_stage.structural(warped[..., 3:], source, target),
            "roi_perceptual": flow_stage.roi_perceptual((warped[..., :3], warped[..., 3:]), wanted, source, features),
            "smooth": flow_stage.smoothness(list(flows.values())),
        }
        weights = {
            "structural": self.structural_weight,
            "roi_perceptual": self.roi_weight,
            "smooth": self.smooth_weight,
        }
        if self.teacher_weight and "flow" in batch:
            visible = batch["flow_visible"][..., None].astype(jnp.float32)
            share = geometry.block_means(visible, stages.HALF)
            truth = geometry.block_means(batch["flow"].astype(jnp.float32) * visible, stages.HALF)
            truth = truth / jnp.maximum(share, 1e-6) / stages.HALF
            terms["teacher"] = flow_stage.teacher(flows, truth, share[..., 0])
            weights["teacher"] = self.teacher_weight
        return total(terms, weights), terms

    def pictures(self, params, frozen, batch):
        def show(params, batch):
            x = self._given(batch, jax.random.PRNGKey(0))
            out = self.clothflow_flow.apply(
                params["clothflow_flow"], *self._inputs(x["garment"], x["rest"], x["target"])
            )
            return x, stages.moved(x["garment"], out["flow"])

        x, out = jax.device_get(jax.jit(show)(params, jax.tree.map(lambda a: a[:_SHOWN], batch)))
        rows = [
            [
                visualize.to_uint8(x["garment"].image[i]), visualize.colour_flow(out["flow"][i]),
                visualize.to_uint8(out["warped"][i]), visualize.to_uint8(x["truth"][i]),
            ]
            for i in range(len(out["flow"]))
        ]  # fmt: skip
        return {"flow": visualize.contact_sheet(rows, column_titles=["clothing", "flow", "warped", "target"])}


# ------------------------------------------------------------------------------------------------------------- stage 3


@dataclasses.dataclass
class ClothFlowRenderTask(ClothFlowTask):
    """Stage 3: ClothFlow's rendering, from true segmentations and the clothing along a frozen stage 2.

    `flow_weights`: that stage's, '' the released ones of the variant, 'none' untrained ones. `perceptual`: as of stage
    2; its features count with `perceptual_weight` and, in Gram matrices, with `style_weight`, on a random square of
    `crop` pixels about the clothing (0: the whole picture), by its first `feature_layers` layers.
    """

    clothflow_render: render_stage.ClothFlowRender = dataclasses.field(default_factory=render_stage.ClothFlowRender)
    size: tuple[int, int] = (256, 192)
    variant: str = "full"
    flow_weights: str = ""
    perceptual: str = lpips_weights.NONE
    perceptual_weight: float = render_stage.LOSS_WEIGHTS["perceptual"]
    style_weight: float = render_stage.LOSS_WEIGHTS["style"]
    feature_layers: int = len(render_stage.FEATURE_WEIGHTS)
    crop: int = 0
    init_from: str = ""
    export: str = ""
    modules = ("clothflow_render",)

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.crop <= min(self.size):
            raise UserError(f"--crop={self.crop} should be 0 or at most the smaller side of --size, {min(self.size)}.")

    def _network(self):
        return self.clothflow_render.clone(layout=self._variant.layout, dense=self._variant.dense)

    def _inputs(self, garment, rest, target):
        labels = segmentation.one_hot(target.segmentation)
        return garment.image, rest[0], labels, stages.pose_maps(target, self.clothflow_render.dense)

    def frozen(self):
        frozen = _frozen_perceptual(self, self.clothflow_render.dtype)
        if self._variant.has_network:
            name = variants.weights_name("flow", self.variant)
            if self.flow_weights == "none":
                self._flow = ClothFlowFlowTask(size=self.size, variant=self.variant).clothflow_flow
                inputs = stages.flow_inputs(self._flow.dense, *self._dummies()[::2])
                frozen["clothflow_flow"] = jax.jit(self._flow.init)(jax.random.PRNGKey(0), *inputs)
            else:
                path = self.flow_weights or variants.find(name)
                self._flow, frozen["clothflow_flow"], _, _ = load_network(
                    "clothflow_flow", flow_stage.ClothFlowFlow, path
                )
        return frozen

    def _run(self, params, frozen, batch, rng):
        x = self._given(batch, rng)
        given = getattr(self, "_flow", None), frozen.get("clothflow_flow"), x["garment"], x["target"]
        flow = jax.lax.stop_gradient(stages.clothing_flow(self._variant.flow, *given))
        clothing = stages.moved(x["garment"], flow)
        network = self.clothflow_render, params["clothflow_render"]
        return x | clothing, stages.render(*network, clothing["warped"], x["rest"], x["target"])

    def _loss(self, params, frozen, batch, rng):
        x, out = self._run(params, frozen, batch, jax.random.fold_in(rng, 0))
        terms = render_stage.loss(out["image"], x["truth"])
        weights = dict(render_stage.LOSS_WEIGHTS)
        if (features := _features(self, frozen)) is not None:
            pair = out["image"], x["truth"]
            if self.crop:
                crops = _crops(jnp.stack(pair, 1), x["garment_truth"], self.crop, jax.random.fold_in(rng, 1))
                pair = jnp.unstack(crops, axis=1)
            pair = losses.moved_alike(jax.random.fold_in(rng, 2), *pair)
            first = lambda pictures: features(pictures)[: self.feature_layers]  # noqa: E731
            terms = render_stage.loss(*pair, first) | terms  # of the picture the whole counts
            weights |= {"perceptual": self.perceptual_weight, "style": self.style_weight * self._variant.style}
        return total(terms, {name: weights[name] for name in terms}), terms

    def pictures(self, params, frozen, batch):
        def show(params, frozen, batch):
            return self._run(params, frozen, batch, jax.random.PRNGKey(0))

        x, out = jax.device_get(jax.jit(show)(params, frozen, jax.tree.map(lambda a: a[:_SHOWN], batch)))
        rows = [
            [
                visualize.to_uint8(x["rest"][0][i]), visualize.to_uint8(x["garment"].image[i]),
                visualize.to_uint8(x["warped"][i]), visualize.to_uint8(out["weights"][i]),
                visualize.to_uint8(out["image"][i]), visualize.to_uint8(x["truth"][i]),
            ]
            for i in range(len(out["image"]))
        ]  # fmt: skip
        titles = ["rest", "clothing", "warped", "weights", "result", "truth"]
        return {"render": visualize.contact_sheet(rows, column_titles=titles)}


def _crops(pictures: jax.Array, region: jax.Array, side: int, key: jax.Array) -> jax.Array:
    """Squares [B, ..., side, side, 3] of pictures [B, ..., H, W, 3], each about a random pixel of a
    region [B, H, W]."""
    height, width = region.shape[1:]
    log = jnp.where(region.reshape(len(region), -1), 0.0, -1e9)
    places = jax.random.categorical(key, log)
    corner = jnp.stack([places // width, places % width], -1) - side // 2
    corner = jnp.clip(corner, 0, jnp.array([height, width]) - side)

    def cut(picture, corner):
        lead = picture.shape[:-3]
        return jax.lax.dynamic_slice(picture, (*[0] * len(lead), *corner, 0), (*lead, side, side, 3))

    return jax.vmap(cut)(pictures, corner)


def _frozen_perceptual(task, dtype) -> dict:
    """{'perceptual': parameters} of the network that a task's `perceptual` names, or {}."""
    network = open_perceptual(task.perceptual, dtype)
    if network is None:
        return {}
    task._distance = network.network
    return {"perceptual": network.params}


def _features(task, frozen: dict):
    """The features of that network as a function of pictures; None where there is none."""
    if "perceptual" not in frozen:
        return None
    network = lpips.Lpips(task._distance, frozen["perceptual"])
    return lambda pictures: [maps.astype(jnp.float32) for maps in network.features(pictures)]
