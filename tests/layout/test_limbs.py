"""Limbs unrolled along their bones, and limbs that are too wide."""

import itertools
import types

import cv2
import numpy as np
import pytest
from capsule_people import SIZE, person

from vton_jax.core import segmentation
from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.segmentation import ID
from vton_jax.layout import limbs

ARM = ID["right-arm"]
BENT = np.float32([[30, 10], [40, 50], [75, 60]])


def drawn(joints, radius, size=(96, 96), down_to=2.0):
    """Labels of an arm of a radius about its bones, and nothing else."""
    labels = np.zeros(size, np.uint8)
    for first, start, end in ((0, *joints[:2]), (1, *joints[1:])):
        end = start + np.clip(down_to - first, 0, 1) * (end - start)
        cv2.line(labels, *(tuple(map(int, point)) for point in (start, end)), ARM, 2 * radius + 1)
    return labels


def test_places_lead_back_to_their_points():
    labels = drawn(BENT, 5)
    limb = limbs.limb_of(labels, ARM, BENT, 200.0)
    points = np.argwhere(labels == ARM)[:, ::-1].astype(np.float32)
    down, across = limb.place(points)
    inside = (down > 0.05) & (down < 1.95) & (abs(down - 1) > 0.15)  # about the joint both bones say a place
    assert inside.sum() > 500 and limb.seen.all()
    assert np.abs(across[inside]).max() < 1.3
    # Outlines are shrunk by `edge`: nothing else moves.
    assert np.linalg.norm(limb.points(down, across) - points, axis=-1)[inside].max() < limb.edge * 1.3
    np.testing.assert_allclose(limb.half[4:12], 6, atol=1)
    np.testing.assert_allclose(limb.centre[4:12], 0, atol=0.6)


def test_hands_are_what_an_arm_shows_beyond_its_wrist():
    labels = drawn(BENT, 5)
    body = types.SimpleNamespace(
        joints=np.zeros((18, 2), np.float32), visible=np.zeros(18, bool), height=np.float32(200)
    )
    joints = [JOINTS[f"right-{name}"] for name in ("shoulder", "elbow", "wrist")]
    body.joints[joints], body.visible[joints] = BENT, True
    hands = limbs.hands(labels, body)
    beyond = labels & (np.indices(labels.shape)[1] > 78)
    assert hands[beyond > 0].all() and 0 < hands.sum() < 0.3 * (labels > 0).sum()
    assert not hands[:, :60].any() and not hands[labels == 0].any()
    assert not limbs.hands(np.where(labels, np.uint8(ID["right-leg"]), labels), body).any()


def test_down_runs_along_the_bones_and_across_to_the_pictures_right():
    limb = limbs.limb_of(
        drawn(np.float32([[40, 10], [40, 40], [40, 70]]), 5), ARM, np.float32([[40, 10], [40, 40], [40, 70]]), 200.0
    )
    down, across = limb.place(np.float32([[40, 10], [40, 25], [40, 40], [40, 70], [45, 25], [35, 55]]))
    np.testing.assert_allclose(down, [0, 0.5, 1, 2, 0.5, 1.5], atol=1e-5)
    np.testing.assert_allclose(across, [0, 0, 0, 0, 0.9, -0.9], atol=0.15)


def test_only_what_is_seen_counts():
    limb = limbs.limb_of(drawn(BENT, 4, down_to=1.2), ARM, BENT, 200.0)
    begin, end = limb.ends
    assert begin == 0 and 1.2 < end < 1.5
    assert limbs.limb_of(drawn(BENT, 4), ARM, BENT, 200.0).ends[1] == np.inf  # the hand goes on
    assert limbs.limb_of(np.zeros((96, 96), np.uint8), ARM, BENT, 200.0) is None
    far = BENT + np.float32([0, 40])
    assert limbs.limb_of(drawn(BENT, 4), ARM, far, 60.0) is None  # labels that are nowhere near the bones


def test_a_limb_that_fills_a_sleeve_becomes_as_wide_as_limbs_are():
    pose = person(0.0, 0.0)
    (body,) = limbs.bodies_of((pose,), SIZE)
    labels = np.array(pose.segmentation)
    joints = body.joints[next(joints for _, _, label, joints in limbs.CHAINS if label == ARM)]
    wide = np.where(labels == ARM, 0, labels).astype(np.uint8)
    sleeve = np.zeros(SIZE, np.uint8)
    for start, end in itertools.pairwise(joints):
        cv2.line(sleeve, *(tuple(round(float(c)) for c in point) for point in (start, end)), 1, int(0.12 * body.height))
    wide[(sleeve > 0) & (wide == 0)] = ARM
    clothed = pose.replace(segmentation=np.where(labels == ARM, ID["upper-clothes"], labels).astype(np.uint8))
    narrow = limbs.narrowed(wide, clothed, pose)
    changed = narrow != wide
    assert changed.sum() > 0.2 * (wide == ARM).sum() and set(np.unique(wide[changed])) == {ARM}
    limb = limbs.limb_of(narrow, ARM, joints, float(body.height))
    assert limb.half[6:26].max() < limbs.CHOSEN.wider * limbs.USUAL_HALF["arm"].max() * body.height + 1.5
    # What the photo shows as the same limb stays, and so does all of a layout without wide limbs.
    assert (limbs.narrowed(wide, pose.replace(segmentation=wide), pose) == wide).all()
    nobody = np.where(segmentation.region(labels, segmentation.ARMS + segmentation.LEGS), 0, labels).astype(np.uint8)
    assert limbs.narrowed(nobody, pose, pose) is nobody


@pytest.mark.parametrize("hidden", ["right-elbow", "right-wrist"])
def test_a_limb_whose_joints_are_hidden_is_left_as_it_is(hidden):
    """Guessed joints lie anywhere: a leg that strides behind the other would be cut off."""
    pose = person(0.0, 0.0)
    visible = np.array(pose.visible)
    visible[JOINTS[hidden]] = False
    there = pose.replace(visible=visible, keypoints=np.where(visible[:, None], pose.keypoints, 0))
    (body,) = limbs.bodies_of((there,), SIZE)
    labels = np.array(pose.segmentation)
    assert ARM not in limbs.limbs_of(labels, body) and ID["left-arm"] in limbs.limbs_of(labels, body)
    clothed = pose.replace(segmentation=np.where(labels == ARM, ID["upper-clothes"], labels).astype(np.uint8))
    wide = cv2.dilate(np.uint8(labels == ARM), np.ones((15, 15), np.uint8)) > 0
    final = np.where(wide & (labels == 0), ARM, labels).astype(np.uint8)
    assert (limbs.narrowed(final, clothed, there) == final)[wide].all()


def test_a_limb_whose_joints_are_anothers_is_left_as_it_is():
    """Joints of the leg in front were taken for those of the one that strides behind it."""
    pose = person(0.0, 0.0)
    labels = np.array(pose.segmentation)
    astray = labels.copy()
    astray[labels == ARM] = 0
    astray[np.roll(labels == ARM, (70, 25), (0, 1)) & (labels == 0)] = ARM
    nobody = pose.replace(segmentation=np.zeros_like(labels))
    assert (limbs.narrowed(astray, nobody, pose) == astray)[astray == ARM].all()
    (body,) = limbs.bodies_of((pose,), SIZE)
    assert ARM not in limbs.limbs_of(astray, body)


def test_every_limb_has_its_joints():
    joints = np.arange(36, dtype=np.float32).reshape(18, 2)
    body = types.SimpleNamespace(joints=joints, height=np.float32(100), visible=np.ones(18, bool))
    assert limbs.limbs_of(np.zeros((8, 8), np.uint8), body) == {}
    assert {label for _, _, label, _ in limbs.CHAINS} == {*segmentation.ARMS, *segmentation.LEGS}
