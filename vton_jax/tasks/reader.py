"""The task of ReaderCNN: pictures of people, of garments laid flat, and of neither.

Conventions: batches as in `reading_views`; the rest as in `vton_jax.tasks`.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core.framing import to_float
from vton_jax.inputs import reading_views
from vton_jax.media import visualize
from vton_jax.models import reader_cnn as reader
from vton_jax.tasks.modules import TaskDefaults, check_size, load, total, untrained


@dataclasses.dataclass
class ReaderTask(TaskDefaults):
    """ReaderCNN on files of pictures, which `python data/build.py pictures` makes: --dataset=A.npz:0.7,B.npz:0.3."""

    reader_cnn: reader.ReaderCNN = dataclasses.field(default_factory=reader.ReaderCNN)
    size: tuple[int, int] = (256, 192)
    init_from: str = ""
    export: str = ""
    modules = ("reader_cnn",)

    def __post_init__(self):
        check_size(self.size, 32, "ReaderCNN")

    @staticmethod
    def open_batches(dataset: str, batch_size: int, seed: int, size: tuple[int, int], split: str):
        """Views of the pictures in files, drawn on the device."""
        return reading_views.open_batches(dataset, batch_size, seed, size, split)

    def init(self, key, batch):
        del batch  # the size says it all
        make = functools.partial(untrained, self.reader_cnn, key, jnp.zeros((1, *self.size, 3)))
        return {"reader_cnn": load(self.init_from, "reader_cnn", make)}

    def _loss(self, params, frozen, batch, rng):
        del frozen, rng
        truth = reader.Truth(**{field.name: batch[field.name] for field in dataclasses.fields(reader.Truth)})
        outputs = self.reader_cnn.apply(params["reader_cnn"], to_float(batch["image"]))
        terms = reader.loss(outputs, truth)
        return total(terms, reader.LOSS_WEIGHTS), terms

    def losses(self):
        return {"reader_cnn": self._loss}

    def pictures(self, params, frozen, batch):
        del frozen
        # Rows from all over the batch, whose parts stand one behind the other.
        chosen = np.unique(np.linspace(0, len(batch["image"]) - 1, 8).round().astype(int))
        batch = jax.tree.map(lambda a: np.asarray(a)[chosen], batch)

        def run(image):
            return reader.read(self.reader_cnn.apply(params["reader_cnn"], to_float(image)), self.size)

        found = jax.device_get(jax.jit(run)(batch["image"]))
        rows = []
        for i, image in enumerate(batch["image"]):
            true = batch["known"][i] & batch["seen"][i]
            rows.append([
                image, visualize.colour_segmentation(batch["segmentation"][i]),
                visualize.draw_skeleton(image, batch["keypoints"][i], true),
                visualize.colour_segmentation(found.labels[i].argmax(-1)),
                visualize.draw_skeleton(image, found.keypoints[i], found.inside[i] > 0.5),
            ])  # fmt: skip
        titles = ["picture", "true labels", "true joints", "labels", "joints"]
        return {"reading": visualize.contact_sheet(rows, column_titles=titles)}
