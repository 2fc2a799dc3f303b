"""Garments that are worn at once: each is placed by its own flow, and all are painted in one pass.

TripleGuidedCNN and the talk know one dress image. Several garments are shown to it as one outfit, on somebody who
stands as the target does: what it learned from donors in clothes of several pieces holds for it.

Conventions: as in `warping.blending`; garments are tuples of `types.Garment` [B], flows tuples of what
`Painter.re_mapped` gives for each.
"""

import jax.numpy as jnp

from vton_jax.core import programs, segmentation
from vton_jax.core.types import Dressed, Garment, Layout
from vton_jax.models.triple_guided_cnn import TripleGuidedCNN
from vton_jax.systems.lab126 import arms
from vton_jax.warping import blending


def as_one(garments: tuple[Garment, ...], flows: tuple[dict, ...], target: Layout) -> Garment:
    """The garments [B] as one outfit on somebody who stands as target layouts [B] do.

    Where a flow is not trusted, and only there, a garment has its mean colour.
    """
    labels = target.segmentation.astype(jnp.int32)
    image = jnp.ones_like(garments[0].image)
    for garment, flow in zip(garments, flows, strict=True):
        region = blending.target_mask(labels, garment.garment_type)
        s_dress = segmentation.one_hot(blending.dress_labels(garment))
        placed = blending.place_dress(flow, garment.image, s_dress, region)["dress_image"]
        image = jnp.where(region[..., None], placed, image)
    worn = segmentation.region(labels, segmentation.GARMENTS)
    kind = jnp.full_like(garments[0].garment_type, segmentation.GARMENT_TYPES.index("outfit"))
    return Garment(image, target.replace(segmentation=jnp.where(worn, labels, 0)), kind, jnp.zeros(kind.shape, bool))


@programs.compiled(static=0)
def dress(
    arm_and_network: tuple[str, TripleGuidedCNN], params, user: tuple, garments_and_target: tuple, flows: tuple
) -> Dressed:
    """One pass of an arm's TripleGuidedCNN. Args: user: pictures [B, H, W, 3] and labels [B, H, W]."""
    (name, network), (garments, target) = arm_and_network, garments_and_target
    outfit = as_one(garments, flows, target)
    inputs = arms.inputs_of(*user, outfit, target.segmentation)
    labels = inputs.s_output, inputs.s_input, inputs.s_dress
    out = network.apply(params, inputs.user_image, outfit.image, *labels)
    image, photo, copied = out["image"], out["weights"][..., 1], out["weights"][..., 2]
    worn = []
    for garment, flow in zip(garments, flows, strict=True):
        region = blending.target_mask(target.segmentation.astype(jnp.int32), garment.garment_type)
        trusted = flow["mask"][..., 0] * region
        if arms.ARMS[name].placed == "after":
            image = blending.blend_after(image, flow, region)
            photo = photo * (1 - trusted)
            worn.append((flow["flow"], trusted))
        else:
            worn.append((flow["flow"], copied * trusted))
    nothing = jnp.zeros_like(flows[0]["flow"]), jnp.zeros_like(photo)
    (first, weight), *besides = worn
    image = jnp.clip(image, 0, 1)
    return Dressed(image, target.segmentation, first, photo, weight, *nothing, tuple(besides))
