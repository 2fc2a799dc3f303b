"""What the tasks of the try-on picture share: layouts as the try-on path will see them.

Conventions: see `vton_jax.tasks`; label maps as soft one-hot maps [B, H, W, 18], pose maps [B, H/4, W/4, 18].
"""

import jax
import jax.numpy as jnp

from vton_jax.core import geometry
from vton_jax.core.errors import UserError
from vton_jax.core.framing import to_float
from vton_jax.core.types import Garment, Layout
from vton_jax.inputs import cached_examples
from vton_jax.models import multi_path_cnn as multi_path
from vton_jax.systems.lab126 import arms
from vton_jax.tasks.modules import PEOPLE, TaskDefaults, check_size, frozen_multi_path
from vton_jax.warping import blending

LAYOUTS = {"truth": 0.0, "mixed": 0.6, "predicted": 1.0}  # how often a layout is MultiPathCNN's and not the truth


def read_layouts(params, network: multi_path.MultiPathCNN, image: jax.Array) -> jax.Array:
    """MultiPathCNN's forward layouts at full size: label ids [B, H, W]."""
    z = network.apply(params, image, method="encode")
    logits = network.apply(params, z, ("segmentation",), method="decode")["segmentation"]
    return geometry.resize(logits, image.shape[1:3]).argmax(-1).astype(jnp.int32)


class Guided(TaskDefaults):
    """What the try-on tasks share: layouts as the try-on path will see them, and ReMapCNN's inputs."""

    def __post_init__(self):
        check_size(self.size, 16, f"{type(self).__name__.removesuffix('Task')}CNN")
        if self.layouts not in LAYOUTS:
            raise UserError(f"--layouts is one of {', '.join(LAYOUTS)}, not '{self.layouts}'.")

    _cached = False  # whether batches are cached examples: `init` sees one

    def open_batches(self, dataset, batch_size, seed, size, split):
        """Try-on examples, or those of `cached_examples.open_layouts`, whose layouts are read already."""
        if cached_examples.are_layouts(dataset):
            return cached_examples.open_layouts(dataset, batch_size, seed, size, split)
        return super().open_batches(dataset, batch_size, seed, size, split)

    def frozen(self) -> dict:
        frozen = {}
        if self.layouts != "truth" and not self._cached:
            dtype = getattr(self, self.modules[0]).dtype
            self._reader, frozen["multi_path_cnn"], _ = frozen_multi_path(
                self.multi_path_weights, self.size, dtype, ", or --layouts=truth"
            )
        return frozen

    def prepare(self, frozen: dict, batch: dict, key: jax.Array) -> dict:
        """Images as floats, layouts from the truth or from MultiPathCNN's forward procedure, pose maps with noise."""
        if "guide" in batch:
            return _as_read(batch)
        images = {p: to_float(batch[f"{p}_image"]) for p in PEOPLE}
        labels = {p: batch[f"{p}_segmentation"].astype(jnp.int32) for p in PEOPLE}
        count = batch["garment_type"].shape[0]
        keys = jax.random.split(key, 4)
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
            visible = batch[f"{name}_visible"] & jax.random.bernoulli(key_b, 0.95, (count, 18))
            return Layout(labels[name], points, visible)

        donor, target = joints("donor", keys[1]), joints("output", keys[2])
        donor = donor.replace(segmentation=jnp.where(donated, labels["donor"], 0))
        garment = Garment(jnp.where(donated[..., None], images["donor"], 1.0), donor, batch["garment_type"], flat)
        return {
            "inputs": arms.inputs_of(images["input"], labels["input"], garment, target.segmentation),
            "garment": garment,
            "target": target,
            "truth": images["output"],
            "truth_labels": truth,
            "garment_truth": blending.target_mask(truth, batch["garment_type"]),
        }


def _as_read(batch: dict) -> dict:
    """What `Guided.prepare` gives, from a batch of `cached_examples.open_layouts`."""
    donor = Layout(batch["dress_segmentation"], batch["donor_keypoints"], batch["donor_visible"])
    garment = Garment(to_float(batch["dress_image"]), donor, batch["garment_type"], flat=None)
    target = Layout(batch["guide"], batch["target_keypoints"], batch["target_visible"])
    user, truth = to_float(batch["input_image"]), batch["output_segmentation"].astype(jnp.int32)
    return {
        "inputs": arms.inputs_of(user, batch["input_segmentation"], garment, target.segmentation),
        "garment": garment,
        "target": target,
        "truth": to_float(batch["output_image"]),
        "truth_labels": truth,
        "garment_truth": blending.target_mask(truth, batch["garment_type"]),
    }
