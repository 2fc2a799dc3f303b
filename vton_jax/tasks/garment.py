"""The task of GarmentCNN: garments laid flat, whose landmarks only the live mannequin knows.

Conventions: batches as in `mannequin.sampler.garment_batch` and `garment_batches`; the rest as in `vton_jax.tasks`.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import keypoints
from vton_jax.core.errors import UserError
from vton_jax.core.framing import to_float
from vton_jax.inputs import garment_batches, input_pipeline
from vton_jax.media import visualize
from vton_jax.models import garment_cnn as garment
from vton_jax.tasks.modules import TaskDefaults, check_size, load, total


@dataclasses.dataclass
class GarmentTask(TaskDefaults):
    """GarmentCNN on garments laid flat; --dataset is `mannequin`, or photos with labels to be mixed with it."""

    garment_cnn: garment.GarmentCNN = dataclasses.field(default_factory=garment.GarmentCNN)
    size: tuple[int, int] = (256, 192)
    init_from: str = ""
    export: str = ""
    modules = ("garment_cnn",)
    live_batch = "garment_batch"

    def __post_init__(self):
        check_size(self.size, 16, "GarmentCNN")

    def open_batches(self, dataset, batch_size, seed, size, split):
        if dataset == "mannequin":
            return input_pipeline.mannequin_batches(seed, batch_size, size, split, self.live_batch)
        return garment_batches.open_batches(dataset, batch_size, seed, size, split)

    def init(self, key, batch):
        if "landmarks" not in batch:
            raise UserError("garment_cnn learns from --dataset=mannequin, or from photos with labels beside it.")
        make = jax.jit(lambda: self.garment_cnn.init(key, jnp.zeros((1, *self.size, 3))))
        return {"garment_cnn": load(self.init_from, "garment_cnn", make)}

    def _loss(self, params, frozen, batch, rng):
        del frozen, rng
        image = to_float(batch["image"])
        outputs = self.garment_cnn.apply(params["garment_cnn"], image)
        known = batch.get("known", jnp.ones(len(image), bool))
        terms = garment.loss(outputs, batch["segmentation"], batch["landmarks"], batch["present"], known)
        return total(terms, garment.LOSS_WEIGHTS), terms

    def losses(self):
        return {"garment_cnn": self._loss}

    def pictures(self, params, frozen, batch):
        del frozen
        batch = jax.tree.map(lambda a: a[:6], batch)
        out = jax.jit(self.garment_cnn.apply)(params["garment_cnn"], to_float(batch["image"]))
        points, present, _ = keypoints.read_pose_map(out["landmarks"])
        size = batch["image"].shape[1:3]
        points = np.asarray(keypoints.scale(points, out["landmarks"].shape[1:3], size))
        labels = np.asarray(out["segmentation"].argmax(-1))
        rows = []
        for i, image in enumerate(np.asarray(batch["image"])):
            marked = image.copy()
            for (x, y), there in zip(points[i], np.asarray(present[i]), strict=True):
                if there:
                    y0, x0 = max(int(y) - 2, 0), max(int(x) - 2, 0)
                    marked[y0 : y0 + 5, x0 : x0 + 5] = (255, 0, 0)
            true = visualize.colour_segmentation(np.asarray(batch["segmentation"][i]))
            rows.append([image, marked, true, visualize.colour_segmentation(labels[i])])
        titles = ["garment", "landmarks", "true labels", "labels"]
        return {"garments": visualize.contact_sheet(rows, column_titles=titles)}
