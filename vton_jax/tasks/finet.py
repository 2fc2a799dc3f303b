"""The tasks of FiNet's two networks, and of the variants that they are compared with (`systems.finet.variants`).

A region of a dressed person is taken away and filled in again, from the posterior of what was there. All of a batch
teaches the encoders, by the sketch and the divergence; a part of it is painted by the U-Net, which costs a hundred
times as much. Conventions: see `vton_jax.tasks`; batches as in `inputs.dressed_people`, or of try-on examples, whose
users count; `systems.finet.cases` says what the networks see.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import keypoints, segmentation
from vton_jax.core.framing import to_float
from vton_jax.inputs import dressed_people, input_pipeline
from vton_jax.layout import inpainting
from vton_jax.media import visualize
from vton_jax.models import finet_cnn, losses, lpips, weights
from vton_jax.models.finet_cnn import FinetCNN
from vton_jax.systems.finet import cases, variants
from vton_jax.tasks.modules import TaskDefaults, check_size, load, open_perceptual, settings_of, total

# How often each of `inpainting.REGIONS` is taken away, among those that are worn.
_CHANCES = (0.5, 3.0, 3.0, 1.0)
_JOINT_NOISE = 0.006  # of the height: as exact as the reader reads people
_SEEN = 0.95  # of the joints that are seen are given
_SHOWN = 6  # people on a sheet
_WAYS = ("posterior", "prior", "prior again")


def draw_cases(batch: dict, key: jax.Array) -> cases.Case:
    """Cases [B] of a batch: a garment that is worn taken away, half of them mirrored, joints with noise."""
    found = {name: batch.get(name, batch.get(f"input_{name}")) for name in dressed_people.NAMES}
    image, labels = to_float(found["image"]), found["segmentation"].astype(jnp.int32)
    count, size = len(labels), labels.shape[1:]
    keys = jax.random.split(key, 4)
    mirror = jax.random.bernoulli(keys[0], 0.5, (count,))
    turned = lambda a, b: jnp.where(mirror.reshape(-1, *[1] * (a.ndim - 1)), b, a)  # noqa: E731
    image, labels = (
        turned(image, image[:, :, ::-1]),
        turned(labels, jnp.asarray(segmentation.MIRROR)[labels[:, :, ::-1]]),
    )
    points, visible = found["keypoints"], found["visible"]
    flipped = points[:, keypoints.MIRROR] * jnp.array([-1.0, 1.0]) + jnp.array([size[1] - 1.0, 0.0])
    points, visible = turned(points, flipped), turned(visible, visible[:, keypoints.MIRROR])
    points = points + _JOINT_NOISE * size[0] * jax.random.normal(keys[1], points.shape)
    visible = visible & jax.random.bernoulli(keys[2], _SEEN, visible.shape)
    worn = jax.vmap(inpainting.present)(jax.vmap(inpainting.classes_of)(labels, points, visible))
    region = jax.random.categorical(keys[3], jnp.where(worn, jnp.log(jnp.array(_CHANCES)), -1e9))
    return jax.vmap(cases.case_of)(image, labels, points, visible, region)


class FinetTask(TaskDefaults):
    """What the two stages share; the settings are fields of both, so that each is a flag."""

    def __post_init__(self):
        check_size(self.size, 16, "FinetCNN")
        self._variant = variants.variant_of(self.variant)

    @property
    def _network(self) -> FinetCNN:
        return getattr(self, self.modules[0])

    @property
    def _stage(self) -> cases.Stage:
        return cases.Stage(self.modules[0].removeprefix("finet_"), self._network, self._variant)

    def open_batches(self, dataset, batch_size, seed, size, split):
        if dataset == "catalogue":
            return input_pipeline.open_batches(dataset, batch_size, seed, size, split)
        return dressed_people.open_batches(dataset, batch_size, seed, size, split)

    def init(self, key, batch):
        del batch  # the size says it all
        stage, variant, latent_size = self._stage.name, self._variant, self._network.latent_size

        def make():
            blank = jnp.zeros((*self.size, 3)), jnp.zeros(self.size, jnp.int32)
            case = cases.case_of(*blank, jnp.zeros((keypoints.NUM_JOINTS, 2)), jnp.zeros(keypoints.NUM_JOINTS, bool), 0)
            case = jax.tree.map(lambda a: a[None], case)
            parts = (of(case, stage, variant) for of in (cases.base_parts, cases.target_parts, cases.context_parts))
            return self._network.init(key, *parts, cases.kinds(case), jnp.zeros((1, latent_size)))

        return {self.modules[0]: load(self.init_from, self.modules[0], jax.jit(make))}

    def losses(self):
        return {self.modules[0]: self._loss}

    def _loss(self, params, frozen, batch, rng):
        keys = jax.random.split(rng, 5)
        case, own = draw_cases(batch, keys[0]), params[self.modules[0]]
        terms, z = self._latent(own, case, keys)
        count = max(1, round(self.painted * len(z)))
        some = jax.tree.map(lambda a: a[:count], case)
        filled = cases.fill(self._stage, own, some, z[:count])
        terms |= self._terms(filled, some, frozen, keys[4])
        if self._variant.latent_regression:
            terms["regression"] = self._regression(own, some, keys[3])
        return total(terms | {"kl": self.kl_weight * terms.pop("pull", 0.0)}, self._weights()), terms

    def _latent(self, params, case: cases.Case, keys) -> tuple[dict, jax.Array]:
        """The terms of the encoders, and z [B, N] of the posterior."""
        stage, variant = self._stage, self._variant
        noise = jax.random.normal(keys[1], (len(case.region), self._network.latent_size))
        if not cases.target_parts(case, stage.name, variant):
            return {}, noise
        q, p = cases.posterior(stage, params, case), cases.prior(stage, params, case)
        if variant.prior == "garments":  # without context anything goes
            dropped = jax.random.bernoulli(keys[2], self.context_dropped, (len(noise), 1))
            p = finet_cnn.Gaussian(*(jnp.where(dropped, 0.0, part) for part in p))
        z = q.sample(noise)
        pull, kl = finet_cnn.pull(q, p, self.free_bits)
        sketch = self._network.apply(params, z, cases.kinds(case), method="sketch")
        missed = jnp.abs(sketch - cases.sketch_truth(case, stage.name)).mean()
        return {"pull": pull, "kl": kl, "sketch": missed}, z

    def _regression(self, params, case: cases.Case, key) -> jax.Array:
        """How far z is from what the encoder reads in the picture that was painted with it: BicycleGAN's cLR-GAN."""
        z = jax.random.normal(key, (len(case.region), self._network.latent_size))
        painted = case.replace(image=cases.fill(self._stage, params, case, z))
        return jnp.abs(cases.posterior(self._stage, params, painted).mean - z).mean()

    def finish(self, params, frozen, batches, workdir):
        del frozen, batches, workdir
        if self.export:
            weights.save(self.export, params[self.modules[0]], self.settings)

    @property
    def settings(self) -> dict:
        """What a file of weights says beside them. `joints`: both stages know them, unlike those of commit 70c86b8."""
        return {"model": self.modules[0], "variant": self.variant, "joints": True} | settings_of(
            self._network, self.size
        )

    def _shown(self, params, batch) -> tuple[cases.Case, list]:
        """Some cases, and what is filled in: from the posterior, then from the prior twice."""

        def show(params, batch):
            case = draw_cases(batch, jax.random.PRNGKey(0))
            q, p = (of(self._stage, params, case) for of in (cases.posterior, cases.prior))
            noise = jax.random.normal(jax.random.PRNGKey(1), (2, *q.mean.shape))
            latents = q.mean, p.sample(noise[0]), p.sample(noise[1])
            return case, [cases.fill(self._stage, params, case, z) for z in latents]

        batch = jax.tree.map(lambda a: a[:_SHOWN], batch)
        return jax.device_get(jax.jit(show)(params[self.modules[0]], batch))


@dataclasses.dataclass
class FinetShapeTask(FinetTask):
    """The shape network.

    `painted`: of a batch that the U-Net fills. `free_bits`: nats of each latent number that the posterior keeps.
    `context_dropped`: how often the prior is N(0, I). `kl_weight`: of the divergence beside means over pixels.
    """

    finet_shape: FinetCNN = dataclasses.field(
        default_factory=lambda: FinetCNN(inpainting.NUM_CLASSES, encoder_widths=(32, 48, 64, 64))
    )
    size: tuple[int, int] = dressed_people.SIZE
    variant: str = "full"
    painted: float = 0.5
    kl_weight: float = 0.005
    free_bits: float = 0.05
    context_dropped: float = 0.5
    init_from: str = ""
    export: str = ""
    modules = ("finet_shape",)

    @staticmethod
    def _weights() -> dict:
        return finet_cnn.SHAPE_WEIGHTS

    def _terms(self, filled, case: cases.Case, frozen, key) -> dict:
        del frozen, key
        return finet_cnn.shape_loss(filled, case.classes, case.mask)

    def pictures(self, params, frozen, batch):
        del frozen
        case, filled = self._shown(params, batch)
        colour = lambda classes: visualize.colour_segmentation(inpainting.SHOWN_AS[classes])  # noqa: E731
        rows = []
        for i, mask in enumerate(case.mask):
            left = colour(np.where(mask, 0, case.classes[i]))
            found = [colour(np.where(mask, one[i].argmax(-1), case.classes[i])) for one in filled]
            rows.append([visualize.to_uint8(case.image[i]), left, colour(case.classes[i]), *found])
        return {"finet_shape": visualize.contact_sheet(rows, column_titles=["", "given", "truth", *_WAYS])}


@dataclasses.dataclass
class FinetAppearanceTask(FinetTask):
    """The appearance network, on true layouts. `perceptual` names LPIPS' weights, see `models.lpips_weights`; with none
    it learns by L1 alone. The rest as in `FinetShapeTask`."""

    finet_appearance: FinetCNN = dataclasses.field(
        default_factory=lambda: FinetCNN(3, widths=(48, 72, 112), sketch_channels=3)
    )
    size: tuple[int, int] = dressed_people.SIZE
    variant: str = "full"
    painted: float = 0.25
    kl_weight: float = 0.005
    free_bits: float = 0.05
    context_dropped: float = 0.5
    perceptual: str = "none"
    perceptual_weight: float = 0.3
    style_weight: float = 200.0
    init_from: str = ""
    export: str = ""
    modules = ("finet_appearance",)

    def frozen(self):
        if (network := open_perceptual(self.perceptual)) is None:
            return {}
        self._features = network.network
        return {"perceptual": network.params}

    def _weights(self) -> dict:
        return finet_cnn.APPEARANCE_WEIGHTS | {"perceptual": self.perceptual_weight, "style": self.style_weight}

    def _terms(self, filled, case: cases.Case, frozen, key) -> dict:
        garment = case.garment & case.mask
        terms = finet_cnn.appearance_loss(filled, case.image, case.mask, garment)
        if frozen:
            network = lpips.Lpips(self._features, frozen["perceptual"])
            both = network.features(jnp.concatenate(losses.moved_alike(key, filled, case.image)))
            painted, truth = zip(*(jnp.split(maps, 2) for maps in both), strict=True)
            terms["perceptual"] = losses.perceptual(painted, truth, [1 / len(both)] * len(both))
            terms["style"] = losses.style(painted, truth, [1 / len(both)] * len(both))
        return terms

    def pictures(self, params, frozen, batch):
        del frozen
        case, filled = self._shown(params, batch)
        rows = []
        for i, image in enumerate(case.image):
            left = np.where(case.mask[i][..., None], 0.5, image)
            rows.append([visualize.to_uint8(one) for one in (left, image, *(one[i] for one in filled))])
        return {"finet_appearance": visualize.contact_sheet(rows, column_titles=["given", "truth", *_WAYS])}
