"""A head turned along its ellipsoid: against points on one that are projected into both pictures."""

import types

import cv2
import numpy as np
import pytest

from vton_jax.compositing import head_flow, kept_parts
from vton_jax.core import segmentation
from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.types import Layout, User
from vton_jax.layout.body import PROPORTIONS

SIZE = (128, 96)
FACE, HAIR = segmentation.ID["face"], segmentation.ID["hair"]


def body(yaw, head=(48.0, 60.0), height=400.0, joints=None):
    """Somebody whose head looks to `yaw` degrees; nothing of the rest is looked at."""
    turn = np.float32([np.cos(np.radians(yaw)), np.sin(np.radians(yaw))])
    points, visible = np.zeros((18, 2), np.float32), np.zeros(18, bool)
    for name, place in (joints or {}).items():
        points[JOINTS[name]], visible[JOINTS[name]] = place, True
    return types.SimpleNamespace(
        joints=points, visible=visible, height=height, head=np.float32(head), head_turn=turn, turn=turn
    )


def projected(surface, who):
    """Where points (left, down, front) of a head, in half widths, half heights and half widths, appear; and whether
    they are on the side that is seen."""
    c, s = who.head_turn
    left, down, front = surface.T
    across = (left * c + front * s) * PROPORTIONS.head_half_width * who.height
    towards = front / head_flow.CHOSEN.depth**2 * c - left * s
    return who.head + np.stack([across, down * PROPORTIONS.head_half_height * who.height], -1), towards


@pytest.mark.parametrize(("photo_yaw", "yaw"), [(0, 0), (20, -30), (-50, 20), (10, 75)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_turned_head_shows_the_same_places(photo_yaw, yaw, mirrored):
    own, there = body(photo_yaw, (40.0, 50.0), 360.0), body(yaw)
    found = head_flow.turned(own, there, SIZE, mirrored=mirrored)
    surface = np.random.default_rng(0).normal(size=(4000, 3))
    surface /= np.linalg.norm(surface, axis=-1, keepdims=True)
    surface[:, 2] *= head_flow.CHOSEN.depth
    at, towards = projected(surface, there)
    seen = (towards > 0.25) & (np.abs(surface[:, 1]) < 0.9)
    to, user_towards = projected(surface * [-1 if mirrored else 1, 1, 1], own)
    columns, rows = np.round(at[seen]).astype(int).T
    read = found.place[rows, columns] + (at[seen] - np.stack([columns, rows], -1))  # to the pixel
    assert np.percentile(np.abs(read - to[seen]), 90) < 1.5
    assert found.inside[rows, columns].all()
    shown = found.seen[rows, columns]
    assert shown[user_towards[seen] > 0.5].min(initial=1) > 0.5 and shown[user_towards[seen] < 0].max(initial=0) < 0.2


def test_a_head_that_does_not_turn_is_moved_and_scaled():
    """Nothing of it, neither ear nor cheek, is read on the other half."""
    own, there = body(30, (40.0, 50.0), 200.0), body(30, (48.0, 60.0), 400.0)
    found = head_flow.turned(own, there, SIZE)
    rows, columns = np.nonzero(found.inside)
    expected = own.head + (np.stack([columns, rows], -1) - there.head) / 2
    np.testing.assert_allclose(found.place[rows, columns], expected, atol=0.01)
    np.testing.assert_allclose(found.seen[rows, columns], 1, atol=1e-3)


def test_nose_and_eyes_lead_to_nose_and_eyes():
    """Somebody's own features lie where no ellipsoid has them; on a mirrored head an eye leads to the other one."""
    photo = {"nose": (47.0, 66.0), "left-eye": (54.0, 58.0), "right-eye": (40.0, 57.0)}
    target = {"nose": (55.0, 63.0), "left-eye": (63.0, 52.0), "right-eye": (49.0, 52.0)}
    own, there = body(0, (47.0, 60.0), joints=photo), body(15, (54.0, 58.0), joints=target)
    for mirrored in (False, True):
        found = head_flow.turned(own, there, SIZE, mirrored=mirrored)
        for name, (x, y) in target.items():
            side = {"left": "right", "right": "left"} if mirrored else {}
            wanted = photo["-".join(side.get(part, part) for part in name.split("-"))]
            assert np.linalg.norm(found.place[round(y), round(x)] - wanted) < 2.5


def head_photo(yaw):
    """(user, layout) of a head with a face of its own colour, a dark eye and a mouth, before a grey wall."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    p, center, height = PROPORTIONS, np.float32([48, 40]), 260.0
    inside = ((columns - center[0]) / (p.head_half_width * height)) ** 2
    inside = inside + ((rows - center[1]) / (p.head_half_height * height)) ** 2 < 1
    labels = np.where(inside, np.where(rows > center[1] - 12, FACE, HAIR), 0).astype(np.uint8)
    photo = np.full((*SIZE, 3), 0.5, np.float32)
    photo[labels == FACE], photo[labels == HAIR] = [0.9, 0.7, 0.6], [0.2, 0.1, 0.1]
    c, s = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
    points, visible = np.zeros((18, 2), np.float32), np.zeros(18, bool)
    for name, (left, down, front) in zip(
        ("nose", "right-eye", "left-eye", "right-ear", "left-ear"), p.head_points, strict=True
    ):
        if front * c - left * s > -1e-3 and (c > 0 or "ear" in name):
            points[JOINTS[name]] = center + height * np.float32([left * c + front * s, down])
            visible[JOINTS[name]] = True
    for name, left, down in (("neck", 0, p.neck_to_head), ("left-shoulder", 0.1, 0.13), ("right-shoulder", -0.1, 0.13)):
        points[JOINTS[name]] = center + height * np.float32([left * c, down])
        visible[JOINTS[name]] = True
    for name in ("nose", "left-eye", "right-eye"):
        if visible[JOINTS[name]]:
            cv2.circle(photo, tuple(round(float(v)) for v in points[JOINTS[name]]), 2, (0.1, 0.1, 0.3), -1)
    layout = Layout(labels, points, visible)
    return User(photo, layout, None, np.ones(SIZE, bool)), layout


def test_a_face_that_turns_keeps_its_features_and_one_from_behind_none():
    user, layout = head_photo(0)
    _, turned = head_photo(55)
    head = kept_parts.carried_head(user, turned)
    weight = kept_parts.head_weight(turned.segmentation, head)
    x, y = np.round(turned.keypoints[JOINTS["nose"]]).astype(int)
    near = np.s_[y - 3 : y + 4, x - 3 : x + 4]
    assert (
        weight[near].max() > 0.8 and (head.picture[near][..., 0] < 0.4).any()
    )  # the nose's dark spot, where it is now
    # Where the photo shows hair and the target face, neither is believed.
    swapped = np.where(turned.segmentation == FACE, HAIR, turned.segmentation)
    assert kept_parts.head_weight(swapped, head)[near].max() == 0
    _, behind = head_photo(180)
    for photo, pose in ((user, behind), (head_photo(180)[0], layout)):
        assert kept_parts.carried_head(photo, pose) is None
