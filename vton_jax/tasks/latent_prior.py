"""The task of LatentPriorCNN: what MultiPathCNN would see in the photo that the try-on wants to make.

Conventions: see `vton_jax.tasks`. A batch holds either frames, of examples with a pose picture, which the
frozen MultiPathCNN reads here; or what was read already, see `cached_examples.latent_batch`.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import segmentation
from vton_jax.core.errors import UserError
from vton_jax.core.framing import to_float
from vton_jax.core.types import Layout
from vton_jax.inputs import cached_examples
from vton_jax.layout import coarse_map, inversion
from vton_jax.media import visualize
from vton_jax.models import latent_prior_cnn as latent_prior
from vton_jax.models import multi_path_cnn as multi_path
from vton_jax.models import weights
from vton_jax.systems.lab126 import target_layouts
from vton_jax.tasks.modules import TaskDefaults, check_size, frozen_multi_path, load, settings_of, untrained


@dataclasses.dataclass
class LatentPriorTask(TaskDefaults):
    """LatentPriorCNN, with the released MultiPathCNN (`multi_path_weights` names another)."""

    latent_prior_cnn: latent_prior.LatentPriorCNN = dataclasses.field(default_factory=latent_prior.LatentPriorCNN)
    size: tuple[int, int] = (256, 192)
    multi_path_weights: str = ""
    init_from: str = ""
    export: str = ""
    modules = ("latent_prior_cnn",)
    pose_picture = True

    def __post_init__(self):
        check_size(self.size, 32, "LatentPriorCNN")

    def open_batches(self, dataset, batch_size, seed, size, split):
        if cached_examples.is_folder(dataset):
            return cached_examples.open_latents(dataset, batch_size, seed)
        return super().open_batches(dataset, batch_size, seed, size, split)

    def init(self, key, batch):
        if not {"coarse_maps", "pose_image"} & set(batch):
            raise UserError(
                "latent_prior_cnn learns from --dataset=catalogue or from cached examples of --kind=latents."
            )
        blocks = tuple(side // latent_prior.BLOCK for side in self.size)
        if "coarse_maps" in batch and (found := tuple(batch["coarse_maps"].shape[1:3])) != blocks:
            theirs = "x".join(str(side * latent_prior.BLOCK) for side in found)
            raise UserError(f"The examples of --dataset are of {theirs}, not of --size={self.size[0]}x{self.size[1]}.")
        maps = jnp.zeros((1, *blocks, segmentation.NUM_LABELS))
        w = jnp.zeros((1, self.latent_prior_cnn.latent_size))
        make = functools.partial(untrained, self.latent_prior_cnn, key, maps, w, w)
        return {"latent_prior_cnn": load(self.init_from, "latent_prior_cnn", make)}

    def frozen(self):
        self._reader, params, extra = frozen_multi_path(self.multi_path_weights, self.size)
        self._whiten, self._colour = inversion.whitening(extra["latent_mean"], extra["latent_covariance"])
        return {"multi_path_cnn": params}

    def _encode(self, frozen, image):
        return self._reader.apply(frozen["multi_path_cnn"], to_float(image), method="encode")

    def _decode(self, frozen, z, *paths):
        return self._reader.apply(frozen["multi_path_cnn"], z, paths, method="decode")

    def _read(self, frozen, batch):
        """Frames to latents and coarse maps, as the try-on path reads them; the donor's layout is the truth."""
        z = {name: self._encode(frozen, batch[f"{name}_image"]) for name in ("input", "pose")}
        layouts = {}
        for name, latent in z.items():
            out = self._decode(frozen, latent, "segmentation", "pose")
            layouts[name] = multi_path.read(out, self.size)[0]
        donor = Layout(*(batch[f"donor_{name}"] for name in ("segmentation", "keypoints", "visible")))
        compose = jax.vmap(lambda *a: coarse_map.coarse_target_segmentation(*a)[0])
        return {
            "z_user": z["input"],
            "z_pose": z["pose"],
            "z_output": self._encode(frozen, batch["output_image"]),
            "coarse_maps": self._fractions(compose(layouts["input"], donor, layouts["pose"], batch["garment_type"])),
            "output_segmentation": batch["output_segmentation"],
        }

    @staticmethod
    def _fractions(coarse):
        return segmentation.soft_maps(coarse.astype(jnp.int32), latent_prior.BLOCK)

    def _outputs(self, params, batch, **options):
        maps = batch["coarse_maps"]
        if maps.dtype == jnp.uint8:
            maps = maps.astype(jnp.float32) / latent_prior.BLOCK**2
        w = (self._whiten(batch[name]) for name in ("z_user", "z_pose"))
        return self.latent_prior_cnn.apply(params["latent_prior_cnn"], maps, *w, **options)

    def _loss(self, params, frozen, batch, rng):
        batch = batch if "coarse_maps" in batch else self._read(frozen, batch)
        outputs = self._outputs(params, batch, train=True, rngs={"dropout": rng})
        terms = latent_prior.loss(outputs, self._whiten(batch["z_output"]))
        return terms["likelihood"], terms

    def losses(self):
        return {"latent_prior_cnn": self._loss}

    def finish(self, params, frozen, batches, workdir):
        """Exports the weights with the decoder's Gauss-Newton matrix, which the backward procedure starts from."""
        del batches, workdir
        if self.export:
            decode = target_layouts.layout_decoder(self._reader, frozen["multi_path_cnn"])
            matrix = target_layouts.mean_matrix(decode, self._colour, self._reader.latent_size)
            settings = {"model": "latent_prior_cnn"} | settings_of(self.latent_prior_cnn, self.size)
            weights.save(self.export, params["latent_prior_cnn"], settings, {"gauss_newton_matrix": matrix})

    def pictures(self, params, frozen, batch):
        def show(params, frozen, batch):
            batch = batch if "coarse_maps" in batch else self._read(frozen, batch)
            z = self._colour(self._outputs(params, batch)["mean"])
            return batch, self._decode(frozen, z, "segmentation")["segmentation"].argmax(-1)

        batch = jax.tree.map(lambda a: a[:6], batch)
        batch, labels = jax.device_get(jax.jit(show)(params, frozen, batch))
        colour = visualize.colour_segmentation
        rows = [[colour(np.asarray(a)) for a in row]
                for row in zip(labels, batch["output_segmentation"], strict=True)]  # fmt: skip
        return {"latent_prior": visualize.contact_sheet(rows, column_titles=["expected", "truth"])}
