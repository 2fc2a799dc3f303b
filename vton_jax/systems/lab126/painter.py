"""The pictures: TripleGuidedCNN and ReMapCNN in one of four arms paint a person into target layouts.

Conventions: frames are float [T, H, W, 3] in [0, 1] of the networks' size; layouts are `types.Layout`; final maps uint8
[T, H, W].
"""

import functools
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from vton_jax.core import programs, segmentation
from vton_jax.core.batching import in_batches, spread
from vton_jax.core.errors import UserError
from vton_jax.core.types import Dressed, Garment, Layout, User
from vton_jax.models import weights
from vton_jax.models.re_map_cnn import ReMapCNN
from vton_jax.models.triple_guided_cnn import TripleGuidedCNN
from vton_jax.models.weights import load_network
from vton_jax.systems.lab126 import arms, together
from vton_jax.systems.painting import BATCH, Painting
from vton_jax.systems.relighting import Relighting
from vton_jax.warping import blending

# The programs: networks are static, so that all painters of a process share what is traced and compiled.


@programs.compiled(static=0)
def _re_mapped(network: ReMapCNN, params, garment: Garment, target: Layout) -> dict:
    out = arms.re_map(functools.partial(network.apply, params), garment, target)
    out = blending.trusted(out, segmentation.one_hot(blending.dress_labels(garment)))
    return {name: out[name] for name in ("flow", "warped", "mask")}


@programs.compiled(static=0)
def _dress(arm_and_network: tuple[str, TripleGuidedCNN], params, user, garment_and_target, re_map) -> Dressed:
    (name, network), (garment, target) = arm_and_network, garment_and_target
    inputs = arms.inputs_of(*user, garment, target.segmentation)
    out = arms.paint(arms.ARMS[name], functools.partial(network.apply, params), inputs, re_map)
    photo_weight, garment_weight = blending.blend_weights(name, out, re_map, inputs.garment_out)
    flow = jnp.zeros((*target.segmentation.shape, 2)) if re_map is None else re_map["flow"]
    nothing = jnp.zeros_like(flow), jnp.zeros_like(garment_weight)
    image = jnp.clip(out["image"], 0, 1)
    return Dressed(image, target.segmentation, flow, photo_weight, garment_weight, *nothing)


class Painter(Painting):
    """The networks of one arm.

    Args: arm: a name in `arms.ARMS`. size: the networks' own (height, width). folder: where the weights lie, by default
    the released ones. Raises: UserError for another arm, or weights that are missing.
    """

    def __init__(self, arm: str, size: tuple[int, int], folder: str | Path | None = None):
        if arm not in arms.ARMS:
            raise UserError(f"The arm {arm} is none of {', '.join(arms.ARMS)}.")
        self.name, self.arm, self.size = arm, arms.ARMS[arm], size
        at = functools.partial(weights.path_of, folder=folder)
        name = self.arm.triple_guided
        self.triple_guided, self._triple, _, _ = load_network("triple_guided_cnn", TripleGuidedCNN, at(name))
        self.warps = bool(self.arm.placed)
        # `joint` has a ReMapCNN of its own once it was trained; until then it shares the others'.
        own = at("re_map_cnn_joint")
        self.relighting = Relighting(folder)
        self._re_map_file = own if self.arm.trains_flow and own.exists() else at("re_map_cnn")

    @functools.cached_property
    def _re_map(self):
        # Read on first use: the arm `none` needs none, but for `re_mapped`.
        return load_network("re_map_cnn", ReMapCNN, self._re_map_file)[:2]

    def re_mapped(self, garments: Garment, targets: Layout) -> dict:
        """The garments [B] in target layouts [B] by ReMapCNN: the 'flow', the dress 'warped' by it, and where it is
        trusted ('mask')."""
        garments = garments.replace(tuck=None, sleeves=None)  # layouts know of them: one program for all garments
        return in_batches(lambda part: _re_mapped(*self._re_map, *part), (garments, targets), BATCH, full=True)

    def dress(self, user: User, garment: Garment, targets: Layout) -> Dressed:
        """Paints target layouts [T].

        Args: user and garment may also carry a leading axis T.
        """
        count = len(targets.segmentation)
        user_pictures = user.image, user.layout.segmentation
        user_pictures = spread(user_pictures, count) if np.ndim(user.image) == 3 else user_pictures
        garment = spread(garment, count) if np.ndim(garment.image) == 3 else garment
        re_map = self.re_mapped(garment, targets) if self.arm.placed else None
        given = user_pictures, (garment, targets), re_map
        return in_batches(
            lambda part: _dress((self.name, self.triple_guided), self._triple, *part), given, BATCH, full=True
        )

    def dress_together(self, user: User, garments: tuple[Garment, ...], targets: Layout) -> Dressed:
        """See `Painting`: a pass of the flow for each garment, and one that paints them all."""
        count = len(targets.segmentation)
        pictures, garments = (user.image, user.layout.segmentation), spread(garments, count)
        pictures = spread(pictures, count) if np.ndim(user.image) == 3 else pictures
        # The arm `none` has no flow of its own, but has to put two garments into one picture.
        given = pictures, (garments, targets), tuple(self.re_mapped(garment, targets) for garment in garments)
        static = self.name, self.triple_guided
        return in_batches(lambda part: together.dress(static, self._triple, *part), given, BATCH, full=True)
