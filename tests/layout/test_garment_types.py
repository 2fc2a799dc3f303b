"""Garment types: what can be carried out, and dresses cut in two."""

import numpy as np
from capsule_people import person

from vton_jax.core import segmentation
from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.segmentation import ID
from vton_jax.core.types import Layout
from vton_jax.layout import garment_types


def test_resolve_garment_type():
    plain, dress = person(0.5, 2.0), person(0.5, 2.0)
    cloth = segmentation.region(dress.segmentation, segmentation.GARMENTS)
    dress = dress.replace(segmentation=np.where(cloth, ID["dress"], dress.segmentation))
    assert int(garment_types.resolve_garment_type(plain.segmentation, plain.segmentation, "lower")) == 1
    assert int(garment_types.resolve_garment_type(dress.segmentation, plain.segmentation, "lower")) == 3
    assert int(garment_types.resolve_garment_type(plain.segmentation, dress.segmentation, "upper")) == 3


def test_half_an_outfit_leaves_the_other_half_of_a_dress():
    labels, points = np.zeros((60, 40), np.uint8), np.zeros((18, 2), np.float32)
    labels[10:50, 10:30] = ID["dress"]
    points[[JOINTS["left-hip"], JOINTS["right-hip"]]] = [[24, 28], [16, 30]]
    user = Layout(labels, points, np.ones(18, bool))
    points[JOINTS["neck"]] = [20, 9]  # the waist is at 9 + .77 * (29 - 9)
    for kind, cut in (("upper", 25), ("lower", 29)):
        halves = garment_types.split_dress(user, segmentation.GARMENT_TYPES.index(kind)).segmentation
        assert (halves[10:cut, 10:30] == ID["upper-clothes"]).all() and (halves[cut:50, 10:30] == ID["skirt"]).all()
        assert (halves[labels == 0] == 0).all()
        assert int(garment_types.resolve_garment_type(halves, halves, kind)) == segmentation.GARMENT_TYPES.index(kind)
    for kind in ("dress", "outfit"):
        assert garment_types.split_dress(user, segmentation.GARMENT_TYPES.index(kind)) is user
    unseen = user.replace(visible=np.zeros(18, bool))
    assert {ID["upper-clothes"], ID["skirt"]} <= set(np.unique(garment_types.split_dress(unseen, 1).segmentation))
