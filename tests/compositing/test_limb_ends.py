"""Hands that move with their forearms: places that are known, and what comes into a result."""

import types

import numpy as np
import pytest
from capsule_people import SIZE, person

from vton_jax.compositing import ends, kept_parts, limb_ends
from vton_jax.core import segmentation
from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.segmentation import ID
from vton_jax.core.types import Dressed, User
from vton_jax.layout import limbs


def body(first, last, height=200.0, side="left"):
    points, visible = np.zeros((18, 2), np.float32), np.zeros(18, bool)
    for name, place in zip(("elbow", "wrist"), (first, last), strict=True):
        points[JOINTS[f"{side}-{name}"]], visible[JOINTS[f"{side}-{name}"]] = place, True
    return types.SimpleNamespace(joints=points, visible=visible, height=height)


def test_a_hand_turns_with_its_forearm():
    """It hangs in the photo and points to the right in the target, where people are half as large."""
    own, there = body((40, 20), (40, 50)), body((20, 30), (35, 30), height=100.0)
    (hand,) = limb_ends.limb_ends(own, there, (80, 80))
    assert hand.label == ID["left-arm"]
    for (x, y), expected in {(35, 30): (40, 50), (38, 30): (40, 56), (36, 32): (36, 52)}.items():
        np.testing.assert_allclose(hand.place[y, x], expected, atol=1e-4)
    assert hand.near[30, 38] == 1 and hand.near[30, 25] == 0 and hand.near[30, 55] == 0 and hand.near[50, 38] == 0


@pytest.mark.parametrize(
    "own",
    [
        body((40, 20), (40, 50), side="right"),  # the other hand
        body((40, 20), (40, 34)),  # a forearm that looks half as long
        body((40, 20), (40, 22)),  # one that points to the camera
    ],
)
def test_a_hand_that_is_seen_otherwise_is_painted(own):
    assert not limb_ends.limb_ends(own, body((20, 30), (50, 30)), (80, 80))


def test_the_photos_hands_come_into_the_result():
    layout = person(0.5, 2.0)
    pose = layout.replace(
        segmentation=np.roll(layout.segmentation, (5, 12), (0, 1)), keypoints=layout.keypoints + np.float32([12, 5])
    )
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    photo = np.stack([rows / SIZE[0], columns / SIZE[1], np.full(SIZE, 0.5)], -1).astype(np.float32)
    user, final = User(photo, layout, None, np.ones(SIZE, bool)), pose.segmentation
    bodies = limbs.bodies_of((layout, pose), SIZE)
    hands = ends.carried_hands(user, bodies, final)
    assert len(hands) == 2
    none, flow = np.zeros(SIZE, np.float32), np.zeros((*SIZE, 2), np.float32)
    result = kept_parts.compose(
        Dressed(np.zeros_like(photo), final, flow, none, none, flow, none), user, none, None, hands
    )
    there = np.max([end.weight for end in hands], 0) > 0.5
    assert {int(label) for label in np.unique(final[there])} == set(segmentation.ARMS)
    truth = np.roll(photo, (5, 12), (0, 1))
    for end in hands:
        assert np.abs(end.picture - truth)[end.weight > 0.5].max() < 0.005 < np.abs(photo - truth)[there].max(-1).min()
        np.testing.assert_allclose(
            result.image[end.weight > 0.5], (end.picture * end.weight[..., None])[end.weight > 0.5]
        )
    assert result.moved_weight[there].min() > 0.5
    np.testing.assert_allclose(result.photo_flow[there], np.broadcast_to([-12, -5], (there.sum(), 2)), atol=0.1)
    # Not on a sleeve, nor of a hand that the photo does not show.
    assert max(end.weight.max() for end in ends.carried_hands(user, bodies, np.full_like(final, 4))) == 0
    unseen = user.replace(shown=np.zeros(SIZE, bool))
    assert max(end.weight.max() for end in ends.carried_hands(unseen, bodies, final)) == 0
