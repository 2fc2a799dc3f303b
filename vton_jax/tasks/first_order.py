"""The task of FirstOrder: from clips alone, one frame of somebody is driven by another frame of the same clip.

Conventions: see `vton_jax.tasks`; batches as in `inputs.clips`.
"""

import dataclasses
import functools

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import geometry
from vton_jax.core.errors import UserError
from vton_jax.core.framing import to_float
from vton_jax.inputs import clips
from vton_jax.media import visualize
from vton_jax.models import first_order as model
from vton_jax.models import losses, lpips, weights
from vton_jax.tasks import adversarial
from vton_jax.tasks.modules import TaskDefaults, check_size, load, open_perceptual, settings_of, total

REGIONS = ("face", "body")
_SHOWN = 6  # pairs on a sheet
_SCALES = 2  # sizes at which pictures are compared by a perceptual network, the first half of theirs


@dataclasses.dataclass
class FirstOrderTask(TaskDefaults):
    """FirstOrder on pairs of frames.

    `region` is what the clips show: `face` or `body`. `perceptual` names LPIPS' weights, see `models.lpips_weights`;
    with none it learns by a pyramid of L1, gradients and SSIM. `flow_weight` 0 leaves the paper's loss, from clips
    alone; the catalogue knows where spots of a body go, and it helps. `adversarial_weight` adds LSGAN with feature
    matching.
    """

    first_order: model.FirstOrder = dataclasses.field(default_factory=model.FirstOrder)
    size: tuple[int, int] = clips.SIZE
    region: str = "face"
    flow_weight: float = 1.0
    perceptual: str = "none"
    perceptual_weight: float = 1.0
    adversarial_weight: float = 0.0
    init_from: str = ""
    export: str = ""

    def __post_init__(self):
        check_size(self.size, 64, "FirstOrder")
        if self.region not in REGIONS:
            raise UserError(f"--region is one of {', '.join(REGIONS)}, not '{self.region}'.")

    @property
    def modules(self) -> tuple[str, ...]:
        return ("first_order", adversarial.PLAYER) if self.adversarial_weight else ("first_order",)

    def open_batches(self, dataset, batch_size, seed, size, split):
        if dataset == "catalogue":
            raise UserError("FirstOrder learns from clips: --dataset=DIR of cache_examples --kind=clips, or of "
                            "data/build.py clips.")  # fmt: skip
        return clips.open_batches(dataset, batch_size, seed, size, split)

    def init(self, key, batch):
        del batch  # the size says it all
        keys, image = jax.random.split(key), jnp.zeros((1, *self.size, 3))
        params = {"first_order": load(self.init_from, "first_order", lambda: drawn(self.first_order, keys[0]))}
        if self.adversarial_weight:
            params[adversarial.PLAYER] = adversarial.init(keys[1], image)
        return params

    def frozen(self):
        if (network := open_perceptual(self.perceptual)) is None:
            return {}
        self._features = network.network
        return {"perceptual": network.params}

    def losses(self):
        table = {("first_order",): self._loss}
        if self.adversarial_weight:
            table[(adversarial.PLAYER,)] = self._discriminator_loss
        return table

    def _loss(self, params, frozen, batch, rng):
        own, (source, driving) = params["first_order"], self._images(batch)
        warps = model.random_warps(rng, len(driving))
        seen = model.resample(driving, (model.SMALL, model.SMALL))
        out = self.first_order.apply(own, source, driving, model.warp_images(warps, seen))
        terms = model.loss(out, driving, self._known(batch))
        terms |= model.equivariance(warps, out["driving"], out["others"])
        if frozen:
            terms["perceptual"] = self._perceptual(frozen, out["image"], driving)
        weights_of = model.LOSS_WEIGHTS | {"flow": self.flow_weight, "perceptual": self.perceptual_weight}
        value = total(terms, weights_of)
        if self.adversarial_weight:
            paid, found = adversarial.fooled(params[adversarial.PLAYER], out["image"], driving)
            terms, value = terms | found, value + self.adversarial_weight * paid
        return value, terms

    @staticmethod
    def _images(batch) -> tuple[jax.Array, jax.Array]:
        return to_float(batch["source"]), to_float(batch["driving"])

    def _known(self, batch) -> dict:
        """Where spots go, as places; nothing where the term is off."""
        if self.flow_weight <= 0:
            return {}
        size = batch["source"].shape[1:3]
        names = ("source_points", "driving_points")
        return {name: model.from_pixels(batch[name], size) for name in names} | {"seen": batch["seen"]}

    def _perceptual(self, frozen, image, truth) -> jax.Array:
        network, found = lpips.Lpips(self._features, frozen["perceptual"]), 0.0
        for _ in range(_SCALES):
            image, truth = (geometry.block_means(one, 2) for one in (image, truth))
            both = network.features(jnp.concatenate([image, truth]))
            painted, true = zip(*(jnp.split(maps, 2) for maps in both), strict=True)
            found += losses.perceptual(painted, true, [1 / len(both)] * len(both))
        return found / _SCALES

    def _discriminator_loss(self, params, frozen, batch, rng):
        del frozen, rng
        source, driving = self._images(batch)
        image = self.first_order.apply(params["first_order"], source, driving)["image"]
        return adversarial.told_apart(adversarial.judge_of(params[adversarial.PLAYER]), image, driving)

    def finish(self, params, frozen, batches, workdir):
        del frozen, batches, workdir
        if self.export:
            settings = {"model": "first_order", "region": self.region} | settings_of(self.first_order, self.size)
            weights.save(self.export, params["first_order"], settings)

    def pictures(self, params, frozen, batch):
        del frozen
        batch = jax.tree.map(lambda a: a[:_SHOWN], batch)
        source, driving = self._images(batch)
        out = jax.device_get(jax.jit(self.first_order.apply)(params["first_order"], source, driving))
        rows = []
        for i in range(len(source)):
            occlusion = visualize.to_uint8(np.repeat(out["occlusion"][i], 3, -1))
            shown = (source[i], driving[i], out["image"][i], out["moved"][i])
            pictures = [visualize.to_uint8(np.asarray(one)) for one in shown]
            for picture, name in zip(pictures, ("source", "driving"), strict=False):
                mark(picture, out[name]["points"][i])
            rows.append([*pictures, visualize.colour_flow(out["offsets"][i]), occlusion])
        titles = ["source", "driving", "result", "moved", "flow", "occlusion"]
        return {"first_order": visualize.contact_sheet(rows, column_titles=titles)}


@functools.partial(jax.jit, static_argnums=0)
def drawn(network: model.FirstOrder, key: jax.Array) -> dict:
    """Parameters to begin with: kernels from a normal distribution by what they sum over, frames of points upright.

    All kernels come from one draw: drawing each is a program that takes longer to compile than the network's gradient.
    """
    image = jax.ShapeDtypeStruct((1, model.SMALL, model.SMALL, 3), jnp.float32)
    shapes = flax.traverse_util.flatten_dict(jax.eval_shape(network.init, key, image, image))
    sizes = [int(np.prod(leaf.shape)) for leaf in shapes.values()]
    parts = jnp.split(jax.random.normal(key, (sum(sizes),)), np.cumsum(sizes)[:-1])
    found = {}
    for (path, leaf), part in zip(shapes.items(), parts, strict=True):
        if path[-1] == "kernel":
            value = part.reshape(leaf.shape) / np.sqrt(np.prod(leaf.shape[:-1]))
            found[path] = 0 * value if path[-2] == "frames" else value
        elif path[-2] == "frames":
            found[path] = jnp.tile(jnp.eye(2).reshape(-1), network.num_points)
        else:
            # Of the leaf's type: a weakly typed one is another type after the first step, which is compiled anew.
            found[path] = jnp.full(leaf.shape, path[-1] == "scale", leaf.dtype)
    return flax.traverse_util.unflatten_dict(found)


def mark(picture: np.ndarray, points: np.ndarray) -> None:
    """Draws points [K, 2], places, into a picture uint8 [H, W, 3]."""
    size = picture.shape[:2]
    for index, (x, y) in enumerate(np.asarray(model.to_pixels(points, size))):
        column, row = int(np.clip(round(float(x)), 0, size[1] - 1)), int(np.clip(round(float(y)), 0, size[0] - 1))
        hue = index / len(points)
        colour = 255 * np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
        picture[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] = colour
