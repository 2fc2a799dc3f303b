"""The task of TripleGuidedCNN, which paints the try-on picture, in the arms of Table 1.

Conventions: see `vton_jax.tasks`; label maps as soft one-hot maps [B, H, W, 18], pose maps [B, H/4, W/4, 18].
"""

import dataclasses
import functools
from pathlib import Path

import jax
import jax.numpy as jnp

from vton_jax.core import segmentation
from vton_jax.core.errors import UserError
from vton_jax.media import visualize
from vton_jax.models import losses, lpips, lpips_weights, weights
from vton_jax.models import re_map_cnn as re_map
from vton_jax.models import triple_guided_cnn as triple_guided
from vton_jax.systems.lab126 import arms
from vton_jax.tasks import adversarial
from vton_jax.tasks.guided import Guided
from vton_jax.tasks.modules import load, open_perceptual, settings_of, total, untrained
from vton_jax.tasks.re_map import frozen_re_map, re_map_terms
from vton_jax.warping import blending

# The arm `post` is `none` with ReMapCNN after it: nothing of its own is trained.
TRAINED = tuple(name for name, arm in arms.ARMS.items() if arm.placed != "after")


@dataclasses.dataclass
class TripleGuidedTask(Guided):
    """TripleGuidedCNN in the arms of the talk's Table 1: `none`, `pre` (ReMapCNN frozen before it) or `joint`.

    The arm `post` needs no training of its own: it is `none` with ReMapCNN after it. `re_map_weights` empty takes the
    released ReMapCNN, `none` an untrained one.
    `perceptual`: a file or folder of LPIPS' weights, or `auto`, whose distance (VGG16's, where there is a choice)
    counts with `perceptual_weight`; `none`: it does not. `adversarial_weight` adds LSGAN with feature matching.
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
    perceptual: str = lpips_weights.NONE
    perceptual_weight: float = 0.1
    adversarial_weight: float = 0.0
    init_from: str = ""
    export: str = ""

    def __post_init__(self):
        super().__post_init__()
        if self.arm not in TRAINED:
            raise UserError(f"--arm is one of {', '.join(TRAINED)}, not '{self.arm}'.")

    @property
    def _arm(self) -> arms.Arm:
        return arms.ARMS[self.arm]

    @property
    def modules(self) -> tuple[str, ...]:
        return (*self._painters, adversarial.PLAYER) if self.adversarial_weight else self._painters

    @property
    def _painters(self) -> tuple[str, ...]:
        return ("triple_guided_cnn", "re_map_cnn") if self._arm.trains_flow else ("triple_guided_cnn",)

    def init(self, key, batch):
        self._cached = "guide" in batch
        image, maps = jnp.zeros((1, *self.size, 3)), jnp.zeros((1, *self.size, segmentation.NUM_LABELS))
        make = functools.partial(untrained, self.triple_guided_cnn, key, image, image, maps, maps, maps)
        params = {"triple_guided_cnn": load(self.init_from, "triple_guided_cnn", make)}
        if self._arm.trains_flow:
            params["re_map_cnn"] = frozen_re_map(self, jax.random.fold_in(key, 1))
        if self.adversarial_weight:
            params[adversarial.PLAYER] = adversarial.init(jax.random.fold_in(key, 2), image)
        return params

    def frozen(self):
        frozen = super().frozen()
        if self._arm.placed and not self._arm.trains_flow:
            frozen["re_map_cnn"] = frozen_re_map(self)
        if (network := open_perceptual(self.perceptual, self.triple_guided_cnn.dtype)) is not None:
            self._distance, frozen["perceptual"] = network.network, network.params
        return frozen

    def _run(self, params, frozen, batch, rng):
        x, re_map = self.prepare(frozen, batch, rng), None
        if self._arm.placed:
            flow_params = (params if self._arm.trains_flow else frozen)["re_map_cnn"]
            network = functools.partial(self.re_map_cnn.apply, flow_params)
            re_map = arms.re_map(network, x["garment"], x["target"])
        network = functools.partial(self.triple_guided_cnn.apply, params["triple_guided_cnn"])
        brought = None if re_map is None else blending.trusted(re_map, x["inputs"].s_dress)
        return x, arms.paint(self._arm, network, x["inputs"], brought), re_map

    def _loss(self, params, frozen, batch, rng):
        x, out, re_map = self._run(params, frozen, batch, rng)
        terms = triple_guided.loss(out, x["truth"], x["garment_truth"])
        value = total(terms, triple_guided.LOSS_WEIGHTS)
        if "perceptual" in frozen:
            pair = losses.moved_alike(jax.random.fold_in(rng, 1), out["image"], x["truth"])
            distance = lpips.Lpips(self._distance, frozen["perceptual"]).distance(*pair)
            terms["perceptual"] = distance.mean()
            value = value + self.perceptual_weight * terms["perceptual"]
        if self._arm.trains_flow:
            flow_value, flow_terms = re_map_terms(re_map, x, batch, self.flow_weight)
            value = value + self.re_map_weight * flow_value
            terms |= {f"re_map_{name}": term for name, term in flow_terms.items()}
        if self.adversarial_weight:
            paid, found = adversarial.fooled(params[adversarial.PLAYER], out["image"], x["truth"])
            terms, value = terms | found, value + self.adversarial_weight * paid
        return value, terms

    def _discriminator_loss(self, params, frozen, batch, rng):
        x, out, _ = self._run(params, frozen, batch, rng)
        return adversarial.told_apart(adversarial.judge_of(params[adversarial.PLAYER]), out["image"], x["truth"])

    def losses(self):
        table = {self._painters: self._loss}
        if self.adversarial_weight:
            table[(adversarial.PLAYER,)] = self._discriminator_loss
        return table

    def pictures(self, params, frozen, batch):
        def show(params, frozen, batch):
            return self._run(params, frozen, batch, jax.random.PRNGKey(0))[:2]

        x, out = jax.device_get(jax.jit(show)(params, frozen, jax.tree.map(lambda a: a[:6], batch)))
        inputs = x["inputs"]
        rows = [
            [
                visualize.to_uint8(inputs.user_image[i]), visualize.to_uint8(inputs.dress_image[i]),
                visualize.colour_segmentation(inputs.s_output[i].argmax(-1)), visualize.to_uint8(out["given"][i]),
                visualize.to_uint8(out["weights"][i]), visualize.to_uint8(out["image"][i]),
                visualize.to_uint8(x["truth"][i]),
            ]
            for i in range(len(out["image"]))
        ]  # fmt: skip
        titles = ["input", "dress", "S output", "dress given", "weights", "result", "truth"]
        return {self.arm: visualize.contact_sheet(rows, column_titles=titles)}

    def finish(self, params, frozen, batches, workdir):
        del frozen, batches, workdir
        if not self.export:
            return
        settings = {"model": "triple_guided_cnn", "arm": self.arm} | settings_of(self.triple_guided_cnn, self.size)
        weights.save(self.export, params["triple_guided_cnn"], settings)
        if self._arm.trains_flow:
            settings = {"model": "re_map_cnn", "arm": "joint"} | settings_of(self.re_map_cnn, self.size)
            weights.save(Path(self.export).with_name("re_map_cnn_joint.safetensors"), params["re_map_cnn"], settings)
