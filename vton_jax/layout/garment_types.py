"""Garment types: what can be carried out, and a dress as the two halves that one may replace.

Conventions: a garment type is a name of `segmentation.GARMENT_TYPES` or its index there.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import segmentation
from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.segmentation import DRESS, GARMENTS, ID
from vton_jax.core.types import Layout


@dataclasses.dataclass(frozen=True)
class Proportions:
    """Chosen by eye on capsule mannequins."""

    waist: float = 0.45  # of a dress's height, from its top: where it is cut if the hips are not seen


PROPORTIONS = Proportions()
_TYPE_INDEX = {name: index for index, name in enumerate(segmentation.GARMENT_TYPES)}


def garment_type_index(garment_type) -> jax.Array:
    """A name or an index in `segmentation.GARMENT_TYPES` -> the index, int32.

    Raises: ValueError for a name that is none.
    """
    if isinstance(garment_type, str):
        if garment_type not in _TYPE_INDEX:
            raise ValueError(f"garment type {garment_type!r} is none of {', '.join(segmentation.GARMENT_TYPES)}.")
        garment_type = _TYPE_INDEX[garment_type]
    return jnp.asarray(garment_type, jnp.int32)


def resolve_garment_type(user_map: jax.Array, donor_map: jax.Array, garment_type) -> jax.Array:
    """The garment type that can be carried out, int32 []: 'outfit' where user or donor wears a dress.

    Half a dress cannot be exchanged: what the user of a dress wears above or below is not known, and a donor's dress
    covers both halves.
    """

    def wears_dress(label_map):
        dress = (label_map == ID["dress"]).sum()
        return dress > segmentation.region(label_map, GARMENTS).sum() - dress

    whole = wears_dress(user_map) | wears_dress(donor_map)
    return jnp.where(whole, _TYPE_INDEX["outfit"], garment_type_index(garment_type))


def split_dress(user: Layout, garment_type: int) -> Layout:
    """The user's layout [H, W] for a garment that covers one half: a dress becomes a top and a skirt, cut at the hips.

    Else the half of the dress that stays would be gone, since a coarse map takes nobody's half a dress. NumPy.
    """
    labels = np.asarray(user.segmentation)
    dress = segmentation.region(labels, DRESS)
    if segmentation.GARMENT_TYPES[int(garment_type)] in ("dress", "outfit") or not dress.any():
        return user
    rows = np.flatnonzero(dress.any(1))
    hips = [JOINTS[name] for name in ("left-hip", "right-hip")]
    seen = [np.asarray(user.keypoints)[joint, 1] for joint in hips if np.asarray(user.visible)[joint]]
    cut = np.mean(seen) if seen else rows[0] + PROPORTIONS.waist * (rows[-1] - rows[0])
    halves = np.where(np.arange(len(labels))[:, None] < cut, ID["upper-clothes"], ID["skirt"])
    return user.replace(segmentation=np.where(dress, halves, labels).astype(np.uint8))
