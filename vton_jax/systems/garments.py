"""Garments that no picture of their own shows."""

import numpy as np

from vton_jax.core import segmentation
from vton_jax.core.errors import NoGarmentFound
from vton_jax.core.types import Garment, User

LEAST_GARMENT = 0.005  # of a picture: less is no garment


def own_garment(user: User) -> Garment:
    """All that the user wears, as a garment to be put on again. Raises: NoGarmentFound."""
    labels = np.asarray(user.layout.segmentation)
    kind = "outfit"
    worn = segmentation.region(labels, segmentation.GARMENT_LABELS[kind])
    if worn.mean() < LEAST_GARMENT:
        raise NoGarmentFound(kind, False, "the photo")
    image = np.where(worn[..., None], user.image, np.float32(1))
    index = np.int32(segmentation.GARMENT_TYPES.index(kind))
    return Garment(image=image, layout=user.layout, garment_type=index, flat=np.bool_(False))
