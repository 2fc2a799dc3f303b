"""Skin of Clothing Co-Parsing, told apart by a pose."""

import numpy as np

from vton_jax.core import keypoints, label_tables, segmentation
from vton_jax.reading import skin


def test_a_hand_beside_the_thigh_is_an_arm():
    """A piece of skin that ends above the knees and begins at a wrist is no leg, though the thigh is nearer."""
    joints = {"neck": (50, 30), "nose": (50, 15), "right-shoulder": (35, 32), "right-elbow": (28, 60),
              "right-wrist": (30, 85), "right-hip": (42, 90), "right-knee": (42, 135), "right-ankle": (42, 180),
              "left-hip": (58, 90), "left-knee": (58, 135), "left-ankle": (58, 180)}  # fmt: skip
    points, visible = np.zeros((18, 2), np.float32), np.zeros(18, bool)
    for name, place in joints.items():
        points[keypoints.ID[name]], visible[keypoints.ID[name]] = place, True
    skin_id = label_tables.CCP_SKIN
    ids = np.zeros((200, 100), np.uint8)
    ids[100:125, 24:34] = skin_id  # the hand, nearer to the thigh than to the wrist
    ids[100:150, 56:64] = skin_id  # the thigh, down to below the knee
    labels = skin.split(ids, points, visible)
    assert set(np.unique(labels[100:125, 24:34])) == {segmentation.ID["right-arm"]}
    assert set(np.unique(labels[100:150, 56:64])) == {segmentation.ID["left-leg"]}
