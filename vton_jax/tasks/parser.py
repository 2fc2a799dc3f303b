"""The task of ParserCNN: photos with labels, or the mannequin's frames.

Conventions: batches as in `parsing_batches`; the rest as in `vton_jax.tasks`.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core.framing import to_float
from vton_jax.inputs import input_pipeline, parsing_batches
from vton_jax.media import visualize
from vton_jax.models import parser_cnn as parser
from vton_jax.tasks.modules import TaskDefaults, check_size, load, total


@dataclasses.dataclass
class ParserTask(TaskDefaults):
    """ParserCNN on photos with labels; from `--dataset=mannequin` on the users' photos alone."""

    parser_cnn: parser.ParserCNN = dataclasses.field(default_factory=parser.ParserCNN)
    size: tuple[int, int] = (256, 192)
    init_from: str = ""
    export: str = ""
    modules = ("parser_cnn",)

    def __post_init__(self):
        check_size(self.size, 32, "ParserCNN")

    @staticmethod
    def open_batches(dataset: str, batch_size: int, seed: int, size: tuple[int, int], split: str):
        """Photos with labels from a prepared dataset, or the mannequin's frames."""
        if dataset == "mannequin":
            return input_pipeline.mannequin_batches(seed, batch_size, size, split)
        return parsing_batches.photo_batches(dataset, batch_size, seed, size, split)

    def init(self, key, batch):
        del batch  # the size says it all
        make = jax.jit(lambda: self.parser_cnn.init(key, jnp.zeros((1, *self.size, 3))))
        return {"parser_cnn": load(self.init_from, "parser_cnn", make)}

    @staticmethod
    def _frames(batch: dict) -> tuple[jax.Array, jax.Array]:
        """(images, labels): a batch of photos as it is, of a try-on example the user's photo."""
        prefix = "" if "image" in batch else "input_"
        return batch[f"{prefix}image"], batch[f"{prefix}segmentation"]

    def _loss(self, params, frozen, batch, rng):
        del frozen, rng
        image, labels = self._frames(batch)
        terms = parser.loss(self.parser_cnn.apply(params["parser_cnn"], to_float(image)), labels)
        return total(terms, parser.LOSS_WEIGHTS), terms

    def losses(self):
        return {"parser_cnn": self._loss}

    def pictures(self, params, frozen, batch):
        del frozen
        image, labels = jax.tree.map(lambda a: a[:6], self._frames(batch))
        out = jax.jit(self.parser_cnn.apply)(params["parser_cnn"], to_float(image))
        read = visualize.colour_segmentation(np.asarray(out["segmentation"].argmax(-1)))
        true = visualize.colour_segmentation(np.asarray(labels))
        rows = list(zip(np.asarray(image), true, read, strict=True))
        return {"parsing": visualize.contact_sheet(rows, column_titles=["photo", "true labels", "labels"])}
