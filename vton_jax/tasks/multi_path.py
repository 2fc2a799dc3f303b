"""The task of MultiPathCNN: every frame that shows a person is its own lesson.

Conventions: see `vton_jax.tasks`.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core.errors import UserError
from vton_jax.core.framing import to_float
from vton_jax.inputs import reading_views
from vton_jax.media import visualize
from vton_jax.models import losses, weights
from vton_jax.models import multi_path_cnn as multi_path
from vton_jax.tasks import adversarial
from vton_jax.tasks.modules import PEOPLE, TaskDefaults, check_size, load, settings_of, total, untrained


@dataclasses.dataclass
class MultiPathTask(TaskDefaults):
    """MultiPathCNN on every frame that shows a person; the adversarial term is off by default."""

    multi_path_cnn: multi_path.MultiPathCNN = dataclasses.field(default_factory=multi_path.MultiPathCNN)
    size: tuple[int, int] = (256, 192)
    adversarial_weight: float = 0.0
    init_from: str = ""
    export: str = ""

    def __post_init__(self):
        check_size(self.size, 32, "MultiPathCNN")
        if tuple(self.multi_path_cnn.size) != tuple(self.size):
            raise UserError("--multi_path_cnn.size follows --size; give --size alone.")

    @property
    def modules(self) -> tuple[str, ...]:
        return ("multi_path_cnn", "discriminator") if self.adversarial_weight else ("multi_path_cnn",)

    def open_batches(self, dataset: str, batch_size: int, seed: int, size: tuple[int, int], split: str):
        """Try-on examples, or pictures of people (`reading_views`), each brought to where the network knows people."""
        if reading_views.are_pictures(dataset):
            return reading_views.open_people(dataset, batch_size, seed, size, split)
        return super().open_batches(dataset, batch_size, seed, size, split)

    def init(self, key: jax.Array, batch: dict) -> dict:
        del batch  # the size says it all
        keys, image = jax.random.split(key), jnp.zeros((1, *self.size, 3))
        make = functools.partial(untrained, self.multi_path_cnn, keys[0], image)
        params = {"multi_path_cnn": load(self.init_from, "multi_path_cnn", make)}
        if self.adversarial_weight:
            params["discriminator"] = jax.jit(multi_path.Discriminator().init)(keys[1], image)
        return params

    @staticmethod
    def _people(batch: dict) -> dict:
        """All frames that show a person as one batch; a flat donor's place is taken by the output frame."""
        names = ("image", "segmentation", "keypoints", "visible")
        if "image" in batch:
            return {name: batch[name] for name in names}
        out = {}
        for name in names:
            parts = {p: batch[f"{p}_{name}"] for p in PEOPLE}
            if "donor_flat" in batch:
                flat = batch["donor_flat"].reshape((-1,) + (1,) * (parts["donor"].ndim - 1))
                parts["donor"] = jnp.where(flat, parts["output"], parts["donor"])
            # Side by side, then flattened: joined along the batch, sharded rows would have to be dealt anew.
            side_by_side = jnp.stack([parts[p] for p in PEOPLE], 1)
            out[name] = side_by_side.reshape(-1, *side_by_side.shape[2:])
        return out

    def _loss(self, params, frozen, batch, rng):
        del frozen, rng
        people = self._people(batch)
        image = to_float(people["image"])
        outputs = self.multi_path_cnn.apply(params["multi_path_cnn"], image)
        terms = multi_path.loss(outputs, image, people["segmentation"], people["keypoints"], people["visible"])
        value = total(terms, multi_path.LOSS_WEIGHTS)
        if self.adversarial_weight:
            frozen_discriminator = jax.lax.stop_gradient(params["discriminator"])
            scores = multi_path.Discriminator().apply(frozen_discriminator, outputs["image"])
            terms["adversarial"] = losses.least_squares_adversarial(scores, real=True)
            value = value + self.adversarial_weight * terms["adversarial"]
        return value, terms

    def _discriminator_loss(self, params, frozen, batch, rng):
        del frozen, rng
        image = to_float(self._people(batch)["image"])
        fake = self.multi_path_cnn.apply(params["multi_path_cnn"], image)["image"]
        judge = functools.partial(multi_path.Discriminator().apply, params[adversarial.PLAYER])
        return adversarial.told_apart(judge, fake, image)

    def losses(self) -> dict:
        table = {("multi_path_cnn",): self._loss}
        if self.adversarial_weight:
            table[("discriminator",)] = self._discriminator_loss
        return table

    def pictures(self, params, frozen, batch) -> dict[str, np.ndarray]:
        del frozen
        people = jax.tree.map(lambda a: a[:6], self._people(batch))
        image = to_float(people["image"])
        out = jax.jit(self.multi_path_cnn.apply)(params["multi_path_cnn"], image)
        size = image.shape[1:3]
        layout = jax.device_get(multi_path.read(out, size)[0])
        rows = []
        for i in range(image.shape[0]):
            true_pose = visualize.draw_skeleton(
                np.full((*size, 3), 255, np.uint8), people["keypoints"][i], people["visible"][i]
            )
            pose = visualize.draw_skeleton(np.full((*size, 3), 255, np.uint8), layout.keypoints[i], layout.visible[i])
            rows.append(
                [
                    visualize.to_uint8(image[i]), visualize.to_uint8(np.asarray(out["image"][i])),
                    visualize.colour_segmentation(np.asarray(people["segmentation"][i])),
                    visualize.colour_segmentation(layout.segmentation[i]), true_pose, pose,
                ]
            )  # fmt: skip
        titles = ["photo", "image path", "true labels", "segmentation path", "true pose", "pose path"]
        return {"forward": visualize.contact_sheet(rows, column_titles=titles)}

    def finish(self, params, frozen, batches, workdir) -> None:
        """Exports the network with the mean and the covariance of its latents, the backward procedure's prior."""
        del frozen, workdir
        if not self.export:
            return
        encode = jax.jit(lambda p, x: self.multi_path_cnn.apply(p, x, method="encode"))
        found = []
        for _ in range(24):
            found.append(np.asarray(encode(params["multi_path_cnn"], to_float(self._people(next(batches))["image"]))))
        z = np.concatenate(found)
        extra = {"latent_mean": z.mean(0), "latent_covariance": np.cov(z.T) + 1e-3 * np.eye(z.shape[1])}
        settings = {"model": "multi_path_cnn"} | settings_of(self.multi_path_cnn, self.size)
        weights.save(self.export, params["multi_path_cnn"], settings, extra)
