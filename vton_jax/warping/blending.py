"""How ReMapCNN's flow and TripleGuidedCNN's picture come together, in training and in try-on alike.

Conventions: images [B, H, W, 3] in [0, 1]; label ids [B, H, W]; soft label maps [B, H, W, 18]; `re_map` is the dict
that ReMapCNN returns; garment_out [B, H, W] is 1 on the donated garment in the target layout.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import arrays, geometry, keypoints, segmentation
from vton_jax.core.types import Garment, Layout
from vton_jax.models.re_map_cnn import POSE_MAP_SIGMA


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Chosen by eye, for hems of striped shirts that the painter had made purple (commit 68ae36d)."""

    around: float = 6 / 256  # of the frame's height: sigma of what is around
    reach: float = 3.0  # sigmas
    sure: float = 0.5  # trust above which cloth lends its colours
    enough: float = 0.3  # of the garment around: where less is trusted, the painter's colours come in


def garment_mask(labels: jax.Array, garment_type: jax.Array) -> jax.Array:
    """Mask [B, H, W] of the labels that a garment type covers on the donor; garment_type [B], of `GARMENT_TYPES`."""
    return _labels_of_types(segmentation.GARMENT_LABELS, labels, garment_type)


def target_mask(labels: jax.Array, garment_type: jax.Array) -> jax.Array:
    """The same of the labels that show the donated garment in a target layout, as decoders or the truth have it."""
    return _labels_of_types(segmentation.TARGET_LABELS, labels, garment_type)


def replaced_mask(labels: jax.Array, garment_type: jax.Array) -> jax.Array:
    """The same of the labels that a donated garment replaces on the user."""
    return _labels_of_types(segmentation.REPLACED_LABELS, labels, garment_type)


def _labels_of_types(labels_of: dict[str, tuple], labels: jax.Array, garment_type: jax.Array) -> jax.Array:
    table = np.zeros((len(segmentation.GARMENT_TYPES), 256), dtype=bool)
    for index, name in enumerate(segmentation.GARMENT_TYPES):
        table[index, list(labels_of[name])] = True
    kinds = garment_type.reshape((-1,) + (1,) * (labels.ndim - 1))
    return arrays.numpy_of(labels, kinds).asarray(table)[kinds, labels]


def place_dress(re_map: dict, dress_image: jax.Array, s_dress: jax.Array, garment_out: jax.Array) -> dict:
    """What TripleGuidedCNN gets when ReMapCNN comes before it: the dress where the target wears it.

    Inside the target's garment, the warped dress where the mask trusts it and the dress's mean colour elsewhere; white
    outside. Args: re_map, ReMapCNN's outputs; garment_out [B, H, W], the garment in the target layout.
    """
    worn = 1 - s_dress[..., :1]
    mean = jnp.sum(dress_image * worn, (1, 2), keepdims=True) / jnp.maximum(jnp.sum(worn, (1, 2), keepdims=True), 1.0)
    inside = garment_out[..., None].astype(jnp.float32)
    mask = re_map["mask"]
    image = inside * (mask * re_map["warped"] + (1 - mask) * mean) + (1 - inside)
    warped_labels = geometry.warp(jax.lax.stop_gradient(s_dress), re_map["flow"])
    return {"dress_image": image, "s_dress": warped_labels}


def trusted(re_map: dict, s_dress: jax.Array) -> dict:
    """ReMapCNN's outputs with a mask that trusts nothing where the flow leads off the dress, whose labels are given."""
    seen = geometry.warp(jax.lax.stop_gradient(1 - s_dress[..., :1]), re_map["flow"])
    return re_map | {"mask": re_map["mask"] * seen}


def blend_after(
    image: jax.Array, re_map: dict, garment_out: jax.Array, thresholds: Thresholds = Thresholds()
) -> jax.Array:
    """ReMap as post-processing: the warped dress over TripleGuidedCNN's result, by the predicted mask.

    Where the mask does not trust the flow, the garment goes on in the colours of the cloth around that it does trust;
    the result's own are left where there is none (ours, the talk does not say). The painter knows a dress by its mean
    colour: a striped shirt's hem would be of all its stripes' colours.
    """
    inside = garment_out[..., None].astype(jnp.float32)
    weight = re_map["mask"] * inside
    sure = jnp.maximum(0, (weight - thresholds.sure) / (1 - thresholds.sure))
    sigma = thresholds.around * image.shape[1]
    near = jnp.concatenate([sure * re_map["warped"], sure, inside], -1)
    near = geometry.blur(near, sigma, int(thresholds.reach * sigma))
    cloth, trusted, covered = near[..., :3], near[..., 3:4], near[..., 4:]
    enough = jnp.clip(trusted / (thresholds.enough * jnp.maximum(covered, 1e-6)), 0, 1) * inside
    image = image * (1 - enough) + cloth / jnp.maximum(trusted, 1e-6) * enough
    return image * (1 - weight) + re_map["warped"] * weight


def dress_labels(garment: Garment) -> jax.Array:
    """A garment's labels [B, H, W], 0 elsewhere."""
    labels = garment.layout.segmentation.astype(np.int32)
    return arrays.numpy_of(labels).where(garment_mask(labels, garment.garment_type), labels, 0)


def pose_map(layout: Layout) -> jax.Array:
    """ReMapCNN's pose maps [..., H/4, W/4, 18] of a layout's joints."""
    size = layout.segmentation.shape[-2:]
    small = (size[0] // 4, size[1] // 4)
    points = keypoints.scale(layout.keypoints, size, small)
    return keypoints.pose_map(points, layout.visible, small, POSE_MAP_SIGMA)


def blend_weights(arm: str, painted: dict, re_map: dict | None, garment_out: jax.Array) -> tuple[jax.Array, jax.Array]:
    """How much of each pixel [B, H, W] is copied from the photo, and how much is the dress, warped by ReMapCNN's flow.

    The rest is painted. Args: arm, one of `try_on.ARMS`; painted, TripleGuidedCNN's outputs.
    """
    photo, dress = painted["weights"][..., 1], painted["weights"][..., 2]
    if arm == "none":
        return photo, dress
    trusted = re_map["mask"][..., 0] * garment_out
    if arm == "post":
        return photo * (1 - trusted), trusted
    return photo, dress * trusted
