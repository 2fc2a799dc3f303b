"""Garment types: what can be carried out, and a dress as the two halves that one may replace.

Conventions: a garment type is a name of `segmentation.GARMENT_TYPES` or its index there.
"""

import dataclasses

import jax
import numpy as np

from vton_jax.core import arrays, segmentation
from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.segmentation import DRESS, GARMENTS, ID
from vton_jax.core.types import Layout


@dataclasses.dataclass(frozen=True)
class Proportions:
    """Where dresses are cut; the first by eye on capsule mannequins."""

    middle: float = 0.45  # of a dress's height, from its top: if the hips are not seen
    waist: float = 0.77  # of the way from neck to hips, as `tucking.PROPORTIONS`


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
    return arrays.numpy_of(garment_type).asarray(garment_type, np.int32)


def resolve_garment_type(user_map: jax.Array, donor_map: jax.Array, garment_type) -> jax.Array:
    """The garment type that can be carried out, int32 []: 'outfit' where user or donor wears a dress.

    Half a dress cannot be exchanged: what the user of a dress wears above or below is not known, and a donor's dress
    covers both halves.
    """

    def wears_dress(label_map):
        dress = (label_map == ID["dress"]).sum()
        return dress > segmentation.region(label_map, GARMENTS).sum() - dress

    whole = wears_dress(user_map) | wears_dress(donor_map)
    return arrays.numpy_of(whole, garment_type).where(whole, _TYPE_INDEX["outfit"], garment_type_index(garment_type))


def split_dresses(users: Layout, garment_type: int) -> Layout:
    """`split_dress` of layouts [T, H, W]."""
    each = (jax.tree.map(lambda a, i=i: a[i], users) for i in range(len(users.segmentation)))
    return users.replace(segmentation=np.stack([split_dress(one, garment_type).segmentation for one in each]))


def split_dress(user: Layout, garment_type: int) -> Layout:
    """The user's layout [H, W] for a garment that covers one half: a dress becomes a top and a skirt.

    Else the half of the dress that stays would be gone, since a coarse map takes nobody's half a dress. What stays
    reaches beneath what comes: the skirt from the waist on, where a short top ends, a top down to the hips. NumPy.
    """
    labels = np.asarray(user.segmentation)
    dress = segmentation.region(labels, DRESS)
    if segmentation.GARMENT_TYPES[int(garment_type)] in ("dress", "outfit") or not dress.any():
        return user
    rows = np.flatnonzero(dress.any(1))
    at = {
        name: np.asarray(user.keypoints)[joint, 1] for name, joint in JOINTS.items() if np.asarray(user.visible)[joint]
    }
    hips = [at[name] for name in ("left-hip", "right-hip") if name in at]
    cut = np.mean(hips) if hips else rows[0] + PROPORTIONS.middle * (rows[-1] - rows[0])
    if hips and "neck" in at and segmentation.GARMENT_TYPES[int(garment_type)] == "upper":
        cut = at["neck"] + PROPORTIONS.waist * (cut - at["neck"])
    halves = np.where(np.arange(len(labels))[:, None] < cut, ID["upper-clothes"], ID["skirt"])
    return user.replace(segmentation=np.where(dress, halves, labels).astype(np.uint8))
