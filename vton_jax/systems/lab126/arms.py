"""The four arms of the talk's Table 1, described once: training and inference are both built from here.

Conventions: as in `warping.blending`. ReMapCNN's flow moves the donor's dress before TripleGuidedCNN paints
(`pre`, and `joint`, where both were trained together), after it (`post`), or not at all (`none`).
"""

import dataclasses
from collections.abc import Callable
from typing import Literal

import flax.struct
import jax
import jax.numpy as jnp

from vton_jax.core import segmentation
from vton_jax.core.types import Garment, Layout
from vton_jax.warping import blending


@dataclasses.dataclass(frozen=True)
class Arm:
    """Which weights of TripleGuidedCNN an arm has, and where ReMapCNN places its dress."""

    triple_guided: str  # the weights of TripleGuidedCNN
    placed: Literal["", "before", "after"] = ""  # the warped dress, relative to TripleGuidedCNN
    trains_flow: bool = False  # whether the flow is trained together with TripleGuidedCNN


ARMS = {
    "none": Arm("triple_guided_cnn_none"),
    "post": Arm("triple_guided_cnn_none", "after"),
    "pre": Arm("triple_guided_cnn_pre", "before"),
    "joint": Arm("triple_guided_cnn_joint", "before", trains_flow=True),
}


@flax.struct.dataclass
class Inputs:
    """What TripleGuidedCNN is given, with a leading axis B."""

    user_image: jax.Array  # float [B, H, W, 3]
    s_input: jax.Array  # float [B, H, W, 18], the user's labels
    dress_image: jax.Array  # float [B, H, W, 3], white off the garment
    s_dress: jax.Array  # float [B, H, W, 18], the garment's labels
    s_output: jax.Array  # float [B, H, W, 18], the target's labels
    garment_out: jax.Array  # bool [B, H, W], the garment in the target


def inputs_of(user_image: jax.Array, user_labels: jax.Array, garment: Garment, target_labels: jax.Array) -> Inputs:
    """The inputs for users [B, H, W, 3] with labels [B, H, W], garments [B] and target labels [B, H, W]."""
    target_labels = target_labels.astype(jnp.int32)
    return Inputs(
        user_image=user_image,
        s_input=segmentation.one_hot(user_labels.astype(jnp.int32)),
        dress_image=garment.image,
        s_dress=segmentation.one_hot(blending.dress_labels(garment)),
        s_output=segmentation.one_hot(target_labels),
        garment_out=blending.target_mask(target_labels, garment.garment_type),
    )


def re_map(network: Callable, garment: Garment, target: Layout) -> dict:
    """ReMapCNN's outputs.

    Args: network: ReMapCNN, applied. garment, target: with a leading axis B.
    """
    labels = blending.dress_labels(garment), target.segmentation.astype(jnp.int32)
    poses = (blending.pose_map(of) for of in (garment.layout, target))
    return network(garment.image, *map(segmentation.one_hot, labels), *poses)


def paint(arm: Arm, network: Callable, inputs: Inputs, re_map: dict | None) -> dict:
    """TripleGuidedCNN's outputs in an arm, with 'given', the dress that it was shown.

    Args: network: TripleGuidedCNN, applied. re_map: ReMapCNN's outputs, `blending.trusted`; None in the arm `none`.
    """
    given, s_given = inputs.dress_image, inputs.s_dress
    if arm.placed == "before":
        placed = blending.place_dress(re_map, given, s_given, inputs.garment_out)
        given, s_given = placed["dress_image"], placed["s_dress"]
    out = dict(network(inputs.user_image, given, inputs.s_output, inputs.s_input, s_given))
    if arm.placed == "after":
        out["image"] = blending.blend_after(out["image"], re_map, inputs.garment_out)
    return out | {"given": given}
