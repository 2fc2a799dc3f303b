"""How ReMapCNN's flow and TripleGuidedCNN's picture come together, in training and in try-on alike.

Alphabet: images [B, H, W, 3] in [0, 1]; label ids [B, H, W]; soft label maps [B, H, W, 18]; `re_map` is the dict that
ReMapCNN returns; garment_out [B, H, W] is 1 on the donated garment in the target layout.
"""

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax import geometry, segmentation


def garment_mask(labels: jax.Array, garment_type: jax.Array) -> jax.Array:
    """Mask [B, H, W] of the labels that a garment type covers; garment_type [B] indexes `GARMENT_TYPES`."""
    table = np.zeros((len(segmentation.GARMENT_TYPES), 256), dtype=bool)
    for index, name in enumerate(segmentation.GARMENT_TYPES):
        table[index, list(segmentation.GARMENT_LABELS[name])] = True
    return jnp.asarray(table)[garment_type.reshape((-1,) + (1,) * (labels.ndim - 1)), labels]


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


def blend_after(image: jax.Array, re_map: dict, garment_out: jax.Array) -> jax.Array:
    """ReMap as post-processing: the warped dress over TripleGuidedCNN's result, by the predicted mask."""
    share = re_map["mask"] * garment_out[..., None]
    return image * (1 - share) + re_map["warped"] * share


def shares(arm: str, painted: dict, re_map: dict | None, garment_out: jax.Array) -> tuple[jax.Array, jax.Array]:
    """How much of each pixel [B, H, W] is copied from the photo, and how much is the dress, warped by ReMapCNN's flow.

    The rest is painted. Args: arm, one of `try_on.ARMS`; painted, TripleGuidedCNN's outputs.
    """
    photo, dress = painted["shares"][..., 1], painted["shares"][..., 2]
    if arm == "none":
        return photo, dress
    trusted = re_map["mask"][..., 0] * garment_out
    if arm == "post":
        return photo * (1 - trusted), trusted
    return photo, dress * trusted
