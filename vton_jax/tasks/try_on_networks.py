"""The tasks of the networks that make the try-on picture: ReMapCNN, and TripleGuidedCNN in the arms of Table 1.

Alphabet: see `vton_jax.tasks`; label maps as soft one-hot maps [B, H, W, 18], pose maps [B, H/4, W/4, 18].
"""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import geometry, keypoints, segmentation
from vton_jax.core.errors import UserError
from vton_jax.core.framing import to_float
from vton_jax.inputs import cached_examples, input_pipeline
from vton_jax.media import visualize
from vton_jax.models import flow_refinement_cnn as flow_refinement
from vton_jax.models import multi_path_cnn as multi_path
from vton_jax.models import re_map_cnn as re_map
from vton_jax.models import triple_guided_cnn as triple_guided
from vton_jax.models import weights
from vton_jax.tasks.modules import PEOPLE, check_size, frozen_multi_path, load, settings_of, total
from vton_jax.warping import blending, geometric_flow


def read_layouts(params, network: multi_path.MultiPathCNN, image: jax.Array) -> jax.Array:
    """MultiPathCNN's forward layouts at full size: label ids [B, H, W]."""
    z = network.apply(params, image, method="encode")
    logits = network.apply(params, z, ("segmentation",), method="decode")["segmentation"]
    return geometry.resize(logits, image.shape[1:3]).argmax(-1).astype(jnp.int32)


ARMS = ("none", "pre", "joint")
LAYOUTS = {"truth": 0.0, "mixed": 0.6, "predicted": 1.0}  # how often a layout is MultiPathCNN's and not the truth


class _Guided:
    """What the try-on tasks share: layouts as the try-on path will see them, and ReMapCNN's inputs."""

    def __post_init__(self):
        check_size(self.size, 16, f"{type(self).__name__.removesuffix('Task')}CNN")
        if self.layouts not in LAYOUTS:
            raise UserError(f"--layouts is one of {', '.join(LAYOUTS)}, not '{self.layouts}'.")

    def frozen(self) -> dict:
        frozen = {}
        if self.layouts != "truth":
            dtype = getattr(self, self.players[0]).dtype
            self._reader, frozen["multi_path_cnn"], _ = frozen_multi_path(
                self.multi_path_weights, self.size, dtype, ", or --layouts=truth"
            )
        return frozen

    def _prepare(self, frozen: dict, batch: dict, rng: jax.Array) -> dict:
        """Images as floats, layouts from the truth or from MultiPathCNN's forward procedure, pose maps with noise."""
        images = {p: to_float(batch[f"{p}_image"]) for p in PEOPLE}
        labels = {p: batch[f"{p}_segmentation"].astype(jnp.int32) for p in PEOPLE}
        count = batch["garment_type"].shape[0]
        keys = jax.random.split(rng, 4)
        truth = labels["output"]
        flat = batch.get("donor_flat", jnp.zeros(count, bool))
        if "multi_path_cnn" in frozen:
            # One example's pictures side by side: a batch that is spread over devices stays where it is.
            together = jnp.stack([images[p] for p in PEOPLE], 1)
            read = read_layouts(frozen["multi_path_cnn"], self._reader, together.reshape(-1, *together.shape[2:]))
            read = jax.lax.stop_gradient(read).reshape(count, len(PEOPLE), *read.shape[1:])
            read = {p: read[:, i] for i, p in enumerate(PEOPLE)}
            take = jax.random.bernoulli(keys[0], LAYOUTS[self.layouts], (3, count))
            take = take & jnp.stack([jnp.ones(count, bool), ~flat, jnp.ones(count, bool)])
            labels = {p: jnp.where(take[i][:, None, None], read[p], labels[p]) for i, p in enumerate(PEOPLE)}
        donated = blending.garment_mask(labels["donor"], batch["garment_type"])
        size = images["input"].shape[1:3]

        def joints(name, key):
            key_a, key_b = jax.random.split(key)
            # As exact as the pose path reads people; the joints of a flat garment's wearer are inferred more roughly.
            spread = jnp.where(flat & (name == "donor"), 0.02, 0.006)[:, None, None] * size[0]
            points = batch[f"{name}_keypoints"] + spread * jax.random.normal(key_a, (count, 18, 2))
            return points, batch[f"{name}_visible"] & jax.random.bernoulli(key_b, 0.95, (count, 18))

        donor_joints, target_joints = joints("donor", keys[1]), joints("output", keys[2])
        return {
            "input_image": images["input"],
            "dress_image": jnp.where(donated[..., None], images["donor"], 1.0),
            "s_input": segmentation.one_hot(labels["input"]),
            "s_output": segmentation.one_hot(labels["output"]),
            "s_dress": segmentation.one_hot(jnp.where(donated, labels["donor"], 0)),
            "flat": flat,
            "garment_out": blending.target_mask(labels["output"], batch["garment_type"]),
            "dress_labels": jnp.where(donated, labels["donor"], 0),
            "output_labels": labels["output"],
            "donor_joints": donor_joints,
            "target_joints": target_joints,
            "donor_pose": blending.pose_map(*donor_joints, size),
            "target_pose": blending.pose_map(*target_joints, size),
            "truth": images["output"],
            "truth_labels": truth,
            "garment_truth": blending.target_mask(truth, batch["garment_type"]),
        }

    @staticmethod
    def _remap(network, params, x: dict) -> dict:
        return network.apply(params, x["dress_image"], x["s_dress"], x["s_output"], x["donor_pose"], x["target_pose"])

    @staticmethod
    def _remap_terms(out: dict, x: dict, batch: dict, flow_weight: float) -> tuple[jax.Array, dict]:
        known = {n: batch[n].astype(jnp.float32) for n in ("flow", "flow_visible") if n in batch and flow_weight > 0}
        terms = re_map.loss(out, x["truth"], x["truth_labels"], known, x["garment_truth"].astype(jnp.float32))
        return total(terms, re_map.LOSS_WEIGHTS | {"flow": flow_weight}), terms


@dataclasses.dataclass
class ReMapTask(_Guided):
    """ReMapCNN alone. `flow_weight` 0 leaves the talk's loss; mannequins know the true flow, and it helps."""

    re_map_cnn: re_map.ReMapCNN = dataclasses.field(default_factory=re_map.ReMapCNN)
    size: tuple[int, int] = (256, 192)
    layouts: str = "mixed"
    multi_path_weights: str = ""
    flow_weight: float = 0.05
    init_from: str = ""
    export: str = ""
    players = ("re_map_cnn",)
    live_batch = "training_batch"

    def init(self, key, batch):
        del batch  # the size says it all
        return {"re_map_cnn": _re_map_params(self.re_map_cnn, key, self.size, self.init_from)}

    def _loss(self, params, frozen, batch, rng):
        x = self._prepare(frozen, batch, rng)
        return self._remap_terms(self._remap(self.re_map_cnn, params["re_map_cnn"], x), x, batch, self.flow_weight)

    def losses(self):
        return {"re_map_cnn": self._loss}

    def pictures(self, params, frozen, batch):
        def show(params, frozen, batch):
            x = self._prepare(frozen, batch, jax.random.PRNGKey(0))
            return x, self._remap(self.re_map_cnn, params["re_map_cnn"], x)

        x, out = jax.device_get(jax.jit(show)(params, frozen, jax.tree.map(lambda a: a[:6], batch)))
        rows = [
            [
                visualize.to_uint8(x["dress_image"][i]), visualize.colour_flow(out["flow"][i]),
                visualize.to_uint8(np.repeat(out["mask"][i], 3, -1)), visualize.to_uint8(out["warped"][i]),
                visualize.to_uint8(x["truth"][i]),
            ]
            for i in range(len(out["flow"]))
        ]  # fmt: skip
        return {"re_map": visualize.contact_sheet(rows, column_titles=["dress", "flow", "mask", "warped", "truth"])}

    def finish(self, params, frozen, batches, workdir):
        del frozen, batches, workdir
        if self.export:
            settings = {"model": "re_map_cnn"} | settings_of(self.re_map_cnn, self.size)
            weights.save(self.export, params["re_map_cnn"], settings)


def _re_map_params(network: re_map.ReMapCNN, key: jax.Array, size: tuple[int, int], path: str | Path = "") -> dict:
    """ReMapCNN's parameters from a file, or untrained where `path` is empty."""
    height, width = size
    image, maps = jnp.zeros((1, height, width, 3)), jnp.zeros((1, height, width, segmentation.NUM_LABELS))
    pose = jnp.zeros((1, height // 4, width // 4, keypoints.NUM_JOINTS))
    make = jax.jit(lambda: network.init(key, image, maps, maps, pose, pose))
    return load(path, "re_map_cnn", make) if path else make()


def _refine(network: flow_refinement.FlowRefinementCNN, params: dict, batch: dict) -> dict:
    """FlowRefinementCNN's outputs for a batch of `cached_examples.open_batches`."""
    dress = to_float(batch["dress_image"]), batch["dress_segmentation"]
    donor = batch["donor_keypoints"], batch["donor_visible"]
    target = batch["guide"], batch["target_keypoints"], batch["target_visible"]
    inputs = blending.refinement_inputs(*dress, *donor, *target)
    return network.apply(params, *inputs, *(batch[n] for n in ("coarse_flow", "first_flow", "first_shown")))


def _refinement_terms(out: dict, batch: dict) -> tuple[jax.Array, dict]:
    inside = ~segmentation.boundaries(batch["output_segmentation"].astype(jnp.int32))
    inside = inside.reshape(inside.shape[0], inside.shape[1] // 4, 4, inside.shape[2] // 4, 4).all((2, 4))
    terms = flow_refinement.loss(out, batch["flow"].astype(jnp.float32), batch["flow_visible"], inside)
    return total(terms, flow_refinement.LOSS_WEIGHTS), terms


def _refinement_params(network: flow_refinement.FlowRefinementCNN, key: jax.Array, size, path: str | Path = "") -> dict:
    height, width = size[0] // 4, size[1] // 4
    maps = lambda channels: jnp.zeros((1, height, width, channels))  # noqa: E731
    make = jax.jit(lambda: network.init(key, maps(39), maps(36), maps(2), maps(2), maps(1)[..., 0] > 0))
    return load(path, "flow_refinement_cnn", make) if path else make()


def _frozen_re_map(task, key: jax.Array | None = None) -> dict:
    """The ReMapCNN that a task's `re_map_weights` name: '' the released one, 'none' an untrained one."""
    path = "" if task.re_map_weights == "none" else task.re_map_weights or weights.released("re_map_cnn")
    return _re_map_params(task.re_map_cnn, jax.random.PRNGKey(0) if key is None else key, task.size, path)


@dataclasses.dataclass
class FlowRefinementTask(_Guided):
    """FlowRefinementCNN behind a frozen ReMapCNN (`re_map_weights`; `none`: an untrained one).

    Either --dataset is a folder of data/guides.py, which holds ReMapCNN's flows as they are on the try-on path, or
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
    players = ("flow_refinement_cnn",)
    live_batch = "training_batch"
    _prepared = False  # by `init`, which sees a batch

    def open_batches(self, dataset, batch_size, seed, size, split):
        if cached_examples.is_folder(dataset):
            unused = ("input_image", "output_image", "input_segmentation", "mask")
            return cached_examples.open_batches(dataset, batch_size, seed, size, split, unused)
        return input_pipeline.open_batches(dataset, batch_size, seed, size, split, self.live_batch)

    def init(self, key, batch):
        self._prepared = "guide" in batch
        if not {"guide", "flow"} & set(batch):
            raise UserError("flow_refinement_cnn learns from --dataset=mannequin or from a folder of data/guides.py.")
        return {"flow_refinement_cnn": _refinement_params(self.flow_refinement_cnn, key, self.size, self.init_from)}

    def frozen(self):
        if self._prepared:
            return {}
        return super().frozen() | {"re_map_cnn": _frozen_re_map(self)}

    def _read(self, frozen, batch, rng):
        """A live batch as those of `cached_examples.open_batches`."""
        x = self._prepare(frozen, batch, rng)
        coarse = self._remap(self.re_map_cnn, frozen["re_map_cnn"], x)["coarse_flow"]
        layouts = (x["output_labels"], *x["target_joints"], x["dress_labels"], *x["donor_joints"])
        first, shown = geometric_flow.first_flow(*layouts, batch["garment_type"], x["flat"])
        visible = batch["flow_visible"][..., None].astype(jnp.float32)
        share = geometry.block_means(visible, 4)
        flow = geometry.block_means(batch["flow"].astype(jnp.float32) * visible, 4) / jnp.maximum(share, 1e-6) / 4
        return batch | {
            "dress_image": x["dress_image"] * 255,
            "dress_segmentation": x["dress_labels"],
            "guide": x["output_labels"],
            "target_keypoints": x["target_joints"][0],
            "target_visible": x["target_joints"][1],
            "donor_keypoints": x["donor_joints"][0],
            "donor_visible": x["donor_joints"][1],
            "coarse_flow": coarse,
            "first_flow": first,
            "first_shown": shown,
            "flow": flow,
            "flow_visible": share[..., 0],
        }

    def _loss(self, params, frozen, batch, rng):
        batch = batch if "guide" in batch else jax.lax.stop_gradient(self._read(frozen, batch, rng))
        return _refinement_terms(_refine(self.flow_refinement_cnn, params["flow_refinement_cnn"], batch), batch)

    def losses(self):
        return {"flow_refinement_cnn": self._loss}

    def pictures(self, params, frozen, batch):
        def show(params, frozen, batch):
            batch = batch if "guide" in batch else self._read(frozen, batch, jax.random.PRNGKey(0))
            return batch, _refine(self.flow_refinement_cnn, params["flow_refinement_cnn"], batch)

        batch, out = jax.jit(show)(params, frozen, jax.tree.map(lambda a: a[:6], batch))
        dress = jax.device_get(to_float(batch["dress_image"]))
        titles = ["dress", "true flow", "ReMapCNN", "geometry", "refined", "share of ReMapCNN"]
        flows = (batch["flow"], batch["coarse_flow"], batch["first_flow"], out["coarse_flow"])
        rows = []
        for i in range(len(dress)):
            full = [geometry.resize_flow(jnp.asarray(flow[i], jnp.float32), self.size) for flow in flows]
            shown = [visualize.to_uint8(np.asarray(geometry.warp(dress[i], flow))) for flow in full]
            share = geometry.resize(out["share"][i], self.size)
            rows.append([visualize.to_uint8(dress[i]), *shown, visualize.to_uint8(np.repeat(share, 3, -1))])
        return {"flow_refinement": visualize.contact_sheet(rows, column_titles=titles)}

    def finish(self, params, frozen, batches, workdir):
        del frozen, batches, workdir
        if self.export:
            settings = {"model": "flow_refinement_cnn"} | settings_of(self.flow_refinement_cnn, self.size)
            weights.save(self.export, params["flow_refinement_cnn"], settings)


@dataclasses.dataclass
class TripleGuidedTask(_Guided):
    """TripleGuidedCNN in the arms of the talk's Table 1: `none`, `pre` (ReMapCNN frozen before it) or `joint`.

    The arm `post` needs no training of its own: it is `none` with ReMapCNN after it. `re_map_weights` empty takes the
    released ReMapCNN, `none` an untrained one. `refined`: --dataset is a folder of data/guides.py, whose flows of
    ReMapCNN are refined by FlowRefinementCNN (`flow_refinement_weights`); the arm `joint` then trains that one.
    """

    triple_guided_cnn: triple_guided.TripleGuidedCNN = dataclasses.field(default_factory=triple_guided.TripleGuidedCNN)
    re_map_cnn: re_map.ReMapCNN = dataclasses.field(default_factory=re_map.ReMapCNN)
    size: tuple[int, int] = (256, 192)
    arm: str = "none"
    layouts: str = "mixed"
    multi_path_weights: str = ""
    re_map_weights: str = ""
    flow_weight: float = 0.05
    re_map_weight: float = 0.3
    refined: bool = False
    flow_refinement_cnn: flow_refinement.FlowRefinementCNN = dataclasses.field(
        default_factory=flow_refinement.FlowRefinementCNN
    )
    flow_refinement_weights: str = ""
    init_from: str = ""
    export: str = ""
    live_batch = "training_batch"

    def __post_init__(self):
        super().__post_init__()
        if self.arm not in ARMS:
            raise UserError(f"--arm is one of {', '.join(ARMS)}, not '{self.arm}'.")

    @property
    def players(self) -> tuple[str, ...]:
        return ("triple_guided_cnn", self._flow_player) if self.arm == "joint" else ("triple_guided_cnn",)

    @property
    def _flow_player(self) -> str:
        return "flow_refinement_cnn" if self.refined else "re_map_cnn"

    def open_batches(self, dataset, batch_size, seed, size, split):
        if not self.refined:
            return input_pipeline.open_batches(dataset, batch_size, seed, size, split, self.live_batch)
        return cached_examples.open_batches(dataset, batch_size, seed, size, split)

    def _flow_params(self, key):
        if not self.refined:
            return _frozen_re_map(self, key)
        path = self.flow_refinement_weights or weights.released("flow_refinement_cnn")
        return _refinement_params(self.flow_refinement_cnn, key, self.size, path)

    def init(self, key, batch):
        del batch  # the size says it all
        image, maps = jnp.zeros((1, *self.size, 3)), jnp.zeros((1, *self.size, segmentation.NUM_LABELS))
        make = jax.jit(lambda: self.triple_guided_cnn.init(key, image, image, maps, maps, maps))
        params = {"triple_guided_cnn": load(self.init_from, "triple_guided_cnn", make) if self.init_from else make()}
        if self.arm == "joint":
            params[self._flow_player] = self._flow_params(jax.random.fold_in(key, 1))
        return params

    def frozen(self):
        frozen = {} if self.refined else super().frozen()
        if self.arm == "pre":
            frozen[self._flow_player] = self._flow_params(jax.random.PRNGKey(0))
        return frozen

    def _prepared(self, batch: dict) -> dict:
        """What `_prepare` gives, from a batch of `cached_examples.open_batches`."""
        labels = {n: batch[n].astype(jnp.int32) for n in ("guide", "dress_segmentation", "input_segmentation")}
        return {
            "input_image": to_float(batch["input_image"]),
            "dress_image": to_float(batch["dress_image"]),
            "s_input": segmentation.one_hot(labels["input_segmentation"]),
            "s_output": segmentation.one_hot(labels["guide"]),
            "s_dress": segmentation.one_hot(labels["dress_segmentation"]),
            "garment_out": blending.target_mask(labels["guide"], batch["garment_type"]),
            "truth": to_float(batch["output_image"]),
            "garment_truth": blending.target_mask(
                batch["output_segmentation"].astype(jnp.int32), batch["garment_type"]
            ),
        }

    def _refined(self, params, batch: dict, x: dict) -> dict:
        """ReMapCNN's outputs with the refined flow."""
        out = _refine(self.flow_refinement_cnn, params, batch)
        mask = to_float(batch["mask"][..., None])
        return out | blending.follow(out["coarse_flow"], mask, x["dress_image"], x["s_dress"])

    def _run(self, params, frozen, batch, rng):
        x = self._prepared(batch) if self.refined else self._prepare(frozen, batch, rng)
        dress, re_map = {"dress_image": x["dress_image"], "s_dress": x["s_dress"]}, None
        if self.arm != "none":
            flow_params = (params if self.arm == "joint" else frozen)[self._flow_player]
            if self.refined:
                re_map = self._refined(flow_params, batch, x)
            else:
                re_map = self._remap(self.re_map_cnn, flow_params, x)
            dress = blending.place_dress(re_map, x["dress_image"], x["s_dress"], x["garment_out"])
        out = self.triple_guided_cnn.apply(
            params["triple_guided_cnn"],
            x["input_image"],
            dress["dress_image"],
            x["s_output"],
            x["s_input"],
            dress["s_dress"],
        )
        return x, out | {"given": dress["dress_image"]}, re_map

    def _loss(self, params, frozen, batch, rng):
        x, out, re_map = self._run(params, frozen, batch, rng)
        terms = triple_guided.loss(out, x["truth"], x["garment_truth"])
        value = total(terms, triple_guided.LOSS_WEIGHTS)
        if self.arm == "joint":
            if self.refined:
                flow_value, flow_terms = _refinement_terms(re_map, batch)
                value = value + self.flow_weight * self.re_map_weight * flow_value
            else:
                flow_value, flow_terms = self._remap_terms(re_map, x, batch, self.flow_weight)
                value = value + self.re_map_weight * flow_value
            terms |= {f"re_map_{name}": term for name, term in flow_terms.items()}
        return value, terms

    def losses(self):
        return {self.players: self._loss}

    def pictures(self, params, frozen, batch):
        def show(params, frozen, batch):
            return self._run(params, frozen, batch, jax.random.PRNGKey(0))[:2]

        x, out = jax.device_get(jax.jit(show)(params, frozen, jax.tree.map(lambda a: a[:6], batch)))
        rows = [
            [
                visualize.to_uint8(x["input_image"][i]), visualize.to_uint8(x["dress_image"][i]),
                visualize.colour_segmentation(x["s_output"][i].argmax(-1)), visualize.to_uint8(out["given"][i]),
                visualize.to_uint8(out["shares"][i]), visualize.to_uint8(out["image"][i]),
                visualize.to_uint8(x["truth"][i]),
            ]
            for i in range(len(out["image"]))
        ]  # fmt: skip
        titles = ["input", "dress", "S output", "dress given", "shares", "result", "truth"]
        return {self.arm: visualize.contact_sheet(rows, column_titles=titles)}

    def finish(self, params, frozen, batches, workdir):
        del frozen, batches, workdir
        if not self.export:
            return
        settings = {"model": "triple_guided_cnn", "arm": self.arm} | settings_of(self.triple_guided_cnn, self.size)
        weights.save(self.export, params["triple_guided_cnn"], settings)
        if self.arm == "joint":
            path = Path(self.export)
            player = self._flow_player
            settings = {"model": player, "arm": "joint"} | settings_of(getattr(self, player), self.size)
            weights.save(path.with_name(f"{player}_joint.safetensors"), params[player], settings)
