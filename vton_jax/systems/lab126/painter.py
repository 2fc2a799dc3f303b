"""The pictures: TripleGuidedCNN and ReMapCNN in one of four arms paint a person into target layouts.

Conventions: frames are float [T, H, W, 3] in [0, 1] of the networks' size; layouts are `types.Layout`; final maps uint8
[T, H, W].
"""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import segmentation
from vton_jax.core.batching import in_batches, spread
from vton_jax.core.errors import UserError
from vton_jax.core.types import Dressed, Garment, Layout, User
from vton_jax.models import weights
from vton_jax.models.flow_refinement_cnn import FlowRefinementCNN
from vton_jax.models.re_map_cnn import ReMapCNN
from vton_jax.models.triple_guided_cnn import TripleGuidedCNN
from vton_jax.models.weights import load_network
from vton_jax.systems.lab126 import arms, together
from vton_jax.systems.painting import BATCH, Painting
from vton_jax.warping import blending, geometric_flow

# The programs: networks are static, so that all painters of a process share what is traced and compiled.


@functools.partial(jax.jit, static_argnums=0)
def _flows(network: ReMapCNN, params, garment: Garment, target: Layout) -> dict:
    poses = (blending.pose_map(of) for of in (garment.layout, target))
    labels = blending.dress_labels(garment), target.segmentation.astype(jnp.int32)
    out = network.apply(params, garment.image, *map(segmentation.one_hot, labels), *poses)
    first, shown = geometric_flow.first_flow(target, garment)
    return {"coarse_flow": out["coarse_flow"], "mask": out["mask"], "first_flow": first, "first_shown": shown}


@functools.partial(jax.jit, static_argnums=0)
def _refined(network: FlowRefinementCNN, params, garment: Garment, target: Layout, first: dict) -> dict:
    out = arms.refine(functools.partial(network.apply, params), garment, target, first)
    return {name: out[name] for name in ("flow", "warped", "mask")}


@functools.partial(jax.jit, static_argnums=0)
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
        self.re_map, self._re_map, self.warps = None, None, bool(self.arm.placed)
        if self.arm.placed:
            self.re_map, self._re_map, _, _ = load_network("re_map_cnn", ReMapCNN, at("re_map_cnn"))
            self._refinement_file = at(self.arm.flow_refinement)

    @functools.cached_property
    def _refinement(self):
        # Read on first use: the examples that it learns from come before it.
        return load_network("flow_refinement_cnn", FlowRefinementCNN, self._refinement_file)[:2]

    def flows(self, garments: Garment, targets: Layout) -> dict:
        """What FlowRefinementCNN starts from, for garments [B] and target layouts [B]: ReMapCNN's 'coarse_flow' and
        'mask', and the geometric 'first_flow' with 'first_shown'."""
        return in_batches(lambda part: _flows(self.re_map, self._re_map, *part), (garments, targets), BATCH, full=True)

    def re_mapped(self, garments: Garment, targets: Layout, flows: dict | None = None) -> dict:
        """The garments [B] in target layouts [B]: the 'flow' as FlowRefinementCNN leaves it, the dress 'warped' by it,
        and where it is trusted ('mask'). flows: see `dress`."""
        given = garments, targets, self.flows(garments, targets) if flows is None else flows
        return in_batches(lambda part: _refined(*self._refinement, *part), given, BATCH, full=True)

    def dress(self, user: User, garment: Garment, targets: Layout, flows: dict | None = None) -> Dressed:
        """Paints target layouts [T].

        Args: user and garment may also carry a leading axis T. flows: what the method of that name gave
        for the same targets (leading axis T), where it is known already.
        """
        count = len(targets.segmentation)
        user_pictures = user.image, user.layout.segmentation
        user_pictures = spread(user_pictures, count) if np.ndim(user.image) == 3 else user_pictures
        garment = spread(garment, count) if np.ndim(garment.image) == 3 else garment
        re_map = self.re_mapped(garment, targets, flows) if self.arm.placed else None
        given = user_pictures, (garment, targets), re_map
        return in_batches(
            lambda part: _dress((self.name, self.triple_guided), self._triple, *part), given, BATCH, full=True
        )

    def dress_together(self, user: User, garments: tuple[Garment, ...], targets: Layout) -> Dressed:
        """See `Painting`: a pass of the flow for each garment, and one that paints them all."""
        count = len(targets.segmentation)
        pictures, garments = (user.image, user.layout.segmentation), spread(garments, count)
        pictures = spread(pictures, count) if np.ndim(user.image) == 3 else pictures
        place = self.re_mapped if self.warps else lambda garment, target: in_batches(
            lambda part: together.by_geometry(*part), (garment, target), BATCH, full=True
        )  # fmt: skip
        given = pictures, (garments, targets), tuple(place(garment, targets) for garment in garments)
        static = self.name, self.triple_guided
        return in_batches(lambda part: together.dress(static, self._triple, *part), given, BATCH, full=True)
