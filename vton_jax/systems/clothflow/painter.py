"""ClothFlow's networks in one variant: target layouts, the clothing's flow, and the picture.

Conventions: frames are float [T, H, W, 3] in [0, 1] of the networks' size; layouts are `types.Layout`; target maps are
uint8 [T, H, W]. Programs have static shapes and take `BATCH` frames at a time.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import programs, segmentation
from vton_jax.core.batching import in_batches, spread
from vton_jax.core.errors import UserError
from vton_jax.core.types import Dressed, Garment, Layout, User
from vton_jax.models.clothflow_flow import ClothFlowFlow
from vton_jax.models.clothflow_layout import ClothFlowLayout
from vton_jax.models.clothflow_render import ClothFlowRender
from vton_jax.models.weights import load_network
from vton_jax.systems.clothflow import stages, variants
from vton_jax.systems.garments import halves
from vton_jax.systems.painting import BATCH, Painting
from vton_jax.warping import blending

_MODULES = {"layout": ClothFlowLayout, "flow": ClothFlowFlow, "render": ClothFlowRender}


# The programs: networks are static, so that all painters of a process share what is traced and compiled.


@programs.compiled(static=0)
def _target_labels(network: ClothFlowLayout, params, user: tuple, garment: Garment, target: Layout) -> jax.Array:
    rest = stages.rest_of(*user, garment.garment_type)
    return stages.target_labels(network, params, garment, rest, target)


@programs.compiled(static=0)
def _moved(kind_and_network: tuple, params, garment: Garment, target: Layout) -> dict:
    return stages.moved(garment, stages.clothing_flow(*kind_and_network, params, garment, target))


@programs.compiled(static=0)
def _dress(network: ClothFlowRender, params, user: tuple, garment: Garment, target_and_clothing: tuple) -> Dressed:
    target, clothing = target_and_clothing
    labels = target.segmentation.astype(jnp.int32)
    rest = stages.rest_of(*user, garment.garment_type)
    out = stages.render(network, params, clothing["warped"], rest, target)
    worn = clothing["mask"][..., 0] * blending.target_mask(labels, garment.garment_type)
    # Where clothing was nothing of the photo is left to be copied.
    shown = (rest[1] != segmentation.UNKNOWN).astype(jnp.float32)
    nothing = jnp.zeros_like(clothing["flow"]), jnp.zeros_like(worn)
    weights = out["weights"][..., 1] * shown, out["weights"][..., 2] * worn
    return Dressed(jnp.clip(out["image"], 0, 1), target.segmentation, clothing["flow"], *weights, *nothing)


class Painter(Painting):
    """The three stages of the variant `name`.

    Args: folder: where weights lie, other than the released ones; those that are not there are the released ones.
    Raises: UserError for an unknown variant, or weights that are missing.
    """

    def __init__(self, name: str = "full", folder: str | Path | None = None):
        if name not in variants.VARIANTS:
            raise UserError(f"The variant {name} is none of {', '.join(variants.VARIANTS)}.")
        self.name, self.variant = name, variants.VARIANTS[name]
        self.warps = self.variant.flow != "none"
        self.own_render = variants.find(variants.weights_name("render", name), folder).is_file()
        self._networks = {stage: (None, None) for stage in variants.STAGES}
        for stage in variants.STAGES:
            if (file := variants.weights_name(stage, name)) is not None:
                path = variants.render_weights(name, folder) if stage == "render" else variants.find(file, folder)
                network, params, _, settings = load_network(f"clothflow_{stage}", _MODULES[stage], path)
                self._networks[stage], self.size = (network, params), tuple(settings["size"])

    def target_labels(self, users: User, garments: Garment, poses: Layout) -> np.ndarray:
        """Stage 1 for users [T] in garments [T] in the poses of layouts [T]: target maps uint8 [T, H, W].

        A variant without it takes the maps of the layouts themselves.
        """
        network, params = self._networks["layout"]
        if network is None:
            return np.asarray(poses.segmentation, np.uint8)
        given = (users.image, users.layout.segmentation), garments, poses
        return in_batches(lambda part: _target_labels(network, params, *part), given, BATCH, full=True)

    def re_mapped(self, garments: Garment, targets: Layout) -> dict:
        """Stage 2: garments [T] where target layouts [T] wear them: 'flow', 'warped' and 'mask' of `stages.moved`."""
        network, params = self._networks["flow"]
        static = self.variant.flow, network
        return in_batches(lambda part: _moved(static, params, *part), (garments, targets), BATCH, full=True)

    def clothing(self, garment: Garment, targets: Layout) -> dict:
        """`re_mapped` for one garment in target layouts [T]; of an outfit either half is moved by itself, as the
        network has learned."""
        count, made = len(targets.segmentation), []
        for piece in halves(garment):
            made.append(self.re_mapped(spread(piece, count), targets))
        if len(made) == 1:
            return made[0]
        lower = segmentation.region(np.asarray(targets.segmentation), segmentation.LOWER)[..., None]
        return {name: np.where(lower, made[1][name], made[0][name]) for name in made[0]}

    def dress(self, user: User, garment: Garment, targets: Layout) -> Dressed:
        """Stages 2 and 3: one user, or users [T], in one garment in target layouts [T]."""
        clothing, count = self.clothing(garment, targets), len(targets.segmentation)
        user_pictures, garments = (user.image, user.layout.segmentation), spread(garment, count)
        user_pictures = spread(user_pictures, count) if np.ndim(user.image) == 3 else user_pictures
        given = user_pictures, garments, (targets, clothing)
        static, params = self._networks["render"]
        return in_batches(lambda part: _dress(static, params, *part), given, BATCH, full=True)
