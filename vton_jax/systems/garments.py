"""Garments that no picture of their own shows."""

from collections.abc import Sequence

import numpy as np

from vton_jax.core import segmentation
from vton_jax.core.errors import GarmentsExclude, NoGarmentFound
from vton_jax.core.types import Garment, User

LEAST_GARMENT = 0.005  # of a picture: less is no garment


def kind_of(garment: Garment) -> str:
    """A garment's type, by its name."""
    return segmentation.GARMENT_TYPES[int(np.max(garment.garment_type))]


def within(garment: Garment, own: np.ndarray) -> Garment:
    """A garment without what was read beside its picture, where a frame goes on with the colours of the edge.

    Args: own: bool [H, W], where in the frame the picture lies.
    """
    labels = np.where(own, garment.layout.segmentation, 0).astype(np.uint8)
    image = np.where(own[..., None], garment.image, np.float32(1))
    return garment.replace(image=image, layout=garment.layout.replace(segmentation=labels))


def worn_together(garments: Sequence[Garment]) -> tuple[Garment, ...]:
    """Garments that are worn at once, the upper one first. Raises: GarmentsExclude."""
    kinds = [kind_of(garment) for garment in garments]
    if len(garments) > 1 and sorted(kinds) != ["lower", "upper"]:
        raise GarmentsExclude(kinds)
    return tuple(sorted(garments, key=lambda garment: int(garment.garment_type)))


def type_of_all(garments: Sequence[Garment]) -> int:
    """The index in `segmentation.GARMENT_TYPES` of what garments that are worn at once exchange in all."""
    if len(garments) > 1:
        return segmentation.GARMENT_TYPES.index("outfit")
    return int(np.max(garments[0].garment_type))


def own_garment(user: User) -> Garment:
    """All that the user wears, as a garment to be put on again. Raises: NoGarmentFound."""
    labels = np.asarray(user.layout.segmentation)
    kind = "outfit"
    worn = segmentation.region(labels, segmentation.GARMENT_LABELS[kind])
    if worn.mean() < LEAST_GARMENT:
        raise NoGarmentFound(kind, False, "the photo")
    return worn_garment(user, kind, worn)


def other_garment(user: User, garment: Garment) -> Garment | None:
    """What the user goes on wearing above or below a donated half; None where that is nothing, or all is donated."""
    other = {"upper": "lower", "lower": "upper"}.get(segmentation.GARMENT_TYPES[int(garment.garment_type)])
    if other is None:
        return None
    labels = segmentation.scarf_as_top(np.asarray(user.layout.segmentation))  # theirs goes along with their own top
    worn = segmentation.region(labels, segmentation.GARMENT_LABELS[other])
    user = user.replace(layout=user.layout.replace(segmentation=labels))
    return worn_garment(user, other, worn) if worn.mean() >= LEAST_GARMENT else None


def worn_garment(user: User, kind: str, worn: np.ndarray) -> Garment:
    """What the user wears in the pixels `worn`, bool [H, W], as a garment of a type."""
    image = np.where(worn[..., None], user.image, np.float32(1))
    index = np.int32(segmentation.GARMENT_TYPES.index(kind))
    return Garment(image=image, layout=user.layout, garment_type=index, flat=np.bool_(False))


def halves(garment: Garment) -> list[Garment]:
    """An outfit as the garments above and below that it consists of; what is one piece, as it is."""
    if segmentation.GARMENT_TYPES[int(garment.garment_type)] != "outfit":
        return [garment]
    labels, found = np.asarray(garment.layout.segmentation), []
    for kind in ("upper", "lower"):
        worn = segmentation.region(labels, segmentation.GARMENT_LABELS[kind])
        if worn.mean() < LEAST_GARMENT:
            return [garment]
        image = np.where(worn[..., None], garment.image, np.float32(1))
        index = np.int32(segmentation.GARMENT_TYPES.index(kind))
        found.append(garment.replace(image=image, garment_type=index))
    return found
