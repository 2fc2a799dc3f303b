"""Hands of the catalogue where arms end: against the catalogue's own pictures of the same arms, and what stays."""

import dataclasses
import types

import numpy as np
import pytest

from vton_jax.compositing import drawn_hands
from vton_jax.core import segmentation
from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.segmentation import ID

SIZE = (160, 120)
SLEEVE, TROUSERS, BAG = ID["upper-clothes"], ID["pants"], ID["bag"]
MOVED = np.zeros(segmentation.NUM_LABELS, np.float32)


def body(side="right", wrist=(40, 80), height=200.0, elbow=None, shoulder=None):
    """Somebody whose one arm hangs."""
    x, y = wrist
    points, visible = np.zeros((18, 2), np.float32), np.zeros(18, bool)
    given = shoulder or (x, y - 0.32 * height), elbow or (x, y - 0.15 * height), wrist
    for name, place in zip(("shoulder", "elbow", "wrist"), given, strict=True):
        points[JOINTS[f"{side}-{name}"]], visible[JOINTS[f"{side}-{name}"]] = place, True
    return types.SimpleNamespace(joints=points, visible=visible, height=height, turn=np.float32([1, 0]))


def sleeved(there, side="right", until=0.7):
    """A map in which a sleeve lies on the upper part of a forearm before trousers."""
    final = np.full(SIZE, TROUSERS, np.uint8)
    wrist, along, length = drawn_hands.bone(there, side)
    relative = np.stack(np.meshgrid(*map(np.arange, SIZE[::-1])), -1) - wrist
    down, aside = relative @ along / (length * there.height), relative @ np.float32([along[1], -along[0]])
    final[(down < until - 1) & (np.abs(aside) < 5)] = SLEEVE
    return final


def test_a_hand_lies_at_the_wrist_and_points_along_the_forearm():
    for wrist, elbow in (((40, 80), (40, 50)), ((60, 60), (30, 60)), ((50, 70), (70, 50))):
        hand = drawn_hands.drawn_hand(body(wrist=wrist, elbow=elbow, shoulder=(elbow[0], elbow[1] - 34)), "right", SIZE)
        along = np.subtract(wrist, elbow) / np.linalg.norm(np.subtract(wrist, elbow))
        relative = np.argwhere(hand.mask)[:, ::-1] - np.array(wrist)
        assert hand.label == ID["right-arm"] and np.abs(relative).min(0).max() <= 1
        assert 4 < (relative @ along).mean() < 12  # of a hand that is some 20 pixels long
        assert np.abs(relative.mean(0) @ [along[1], -along[0]]) < 6
        assert ((np.argwhere(hand.around)[:, ::-1] - wrist) @ along > -1e-4).all()


def test_twice_as_large_people_have_hands_of_four_times_the_area():
    small, large = (
        drawn_hands.drawn_hand(body(height=height), "right", (300, 200)).mask.sum() for height in (150.0, 300.0)
    )
    assert 3.5 < large / small < 4.5


def test_left_hands_are_mirror_images_of_right_ones():
    there = body(wrist=(40, 80), elbow=(50, 52), shoulder=(47, 20))
    mirrored = body("left", (SIZE[1] - 1 - 40, 80), elbow=(SIZE[1] - 1 - 50, 52), shoulder=(SIZE[1] - 1 - 47, 20))
    there.turn, mirrored.turn = np.float32([0.8, 0.6]), np.float32([0.8, -0.6])
    right, left = drawn_hands.drawn_hand(there, "right", SIZE), drawn_hands.drawn_hand(mirrored, "left", SIZE)
    assert right.place.index == left.place.index and left.label == ID["left-arm"]
    np.testing.assert_array_equal(left.mask, right.mask[:, ::-1])
    np.testing.assert_allclose(left.detail, right.detail[:, ::-1], atol=1e-5)


def test_no_hand_is_drawn_of_which_nothing_is_known():
    there = body()
    there.visible[JOINTS["right-wrist"]] = False
    assert drawn_hands.drawn_hand(there, "right", SIZE) is None
    assert drawn_hands.drawn_hand(body(elbow=(40, 75)), "right", SIZE) is None  # its forearm points to the camera
    assert drawn_hands.drawn_hand(body(wrist=(40, 400)), "right", SIZE) is None  # far below the picture


def test_hands_that_are_hidden_appear_with_the_bare_forearm_above_them():
    there = body()
    final = sleeved(there)
    out, (hand,) = drawn_hands.with_hands(final, there, {}, MOVED)
    skin = out == ID["right-arm"]
    assert skin[hand.mask].all() and skin[72:80, 40].all()  # from the sleeve's end, at row 71, to the wrist
    assert (out[~skin] == final[~skin]).all() and (out[final == SLEEVE] == SLEEVE).sum() > 200
    assert skin.sum() < 1.5 * hand.mask.sum()


def test_bare_forearms_go_on_to_the_hand_before_the_trunk():
    there = body()
    final = np.full(SIZE, SLEEVE, np.uint8)  # a wide top
    final[50:70, 36:45] = ID["right-arm"]  # of which the forearm comes out, but for its last third
    out, _ = drawn_hands.with_hands(final, there, {}, MOVED)
    assert (out[50:86, 40] == ID["right-arm"]).all()


def test_a_bare_forearm_that_is_torn_is_mended():
    """Between its elbow and the hand a patch of cloth, or of the ground, would cut it in two."""
    there = body()
    for patch in (SLEEVE, 0):
        final = np.full(SIZE, TROUSERS, np.uint8)
        final[50:100, 36:45] = ID["right-arm"]
        final[66:72] = patch
        out, _ = drawn_hands.with_hands(final, there, {}, MOVED)
        assert (out[66:72, 39:42] == ID["right-arm"]).all() and (out[66:72, :30] == patch).all()


def test_stumps_give_way_to_hands_and_bags_lie_before_them():
    there, final = body(), sleeved(body())
    final[80:100, 30:50], final[88:92] = ID["right-arm"], BAG
    out, (hand,) = drawn_hands.with_hands(final, there, {}, MOVED)
    assert (out[88:92] == BAG).all()
    beyond = np.arange(SIZE[0])[:, None] > 80
    np.testing.assert_array_equal((out == ID["right-arm"]) & beyond, hand.mask & (final != BAG) & beyond)


def test_the_photos_own_hand_is_taken_where_it_is_whole():
    there, own = body(), np.zeros(SIZE, bool)
    own[83:100, 36:46] = True  # below a bracelet
    out, drawn = drawn_hands.with_hands(sleeved(there), there, {ID["right-arm"]: own}, MOVED)
    assert not drawn and (out[own] == ID["right-arm"]).all() and (out[80:83, 40] == ID["right-arm"]).all()
    own[88:] = False  # a bag hides the rest
    assert len(drawn_hands.with_hands(sleeved(there), there, {ID["right-arm"]: own}, MOVED)[1]) == 1


def test_arms_that_stand_still_or_are_hidden_have_the_hands_that_they_have():
    there = body()
    final = sleeved(there)
    still = MOVED.copy()
    still[ID["right-arm"]] = 1
    assert drawn_hands.with_hands(final, there, {}, still) == (final, [])
    hidden = np.full(SIZE, TROUSERS, np.uint8)  # nowhere on the forearm is a sleeve or skin
    out, drawn = drawn_hands.with_hands(hidden, there, {}, MOVED)
    assert not drawn and (out == hidden).all()


def test_enlarged_hands_show_what_small_ones_cannot():
    hand = drawn_hands.drawn_hand(body(), "right", SIZE)
    even = np.full((SIZE[0] * 4, SIZE[1] * 4, 3), 0.5, np.float32)
    out = drawn_hands.detailed(even, [hand.place], SIZE)
    changed = (np.abs(out - even) > 0.01).any(-1)
    inside = np.kron(hand.mask, np.ones((4, 4), bool))
    assert changed[inside].mean() > 0.2 and not changed[300:420, 300:].any()
    assert abs(out[inside].mean() - 0.5) < 0.03 and (even == 0.5).all()
    assert drawn_hands.detailed(even, (), SIZE) is even


def test_between_two_pictures_hands_lie_between():
    one, two = (drawn_hands.drawn_hand(body(wrist=(x, 80)), "right", SIZE).place for x in (40, 60))
    (half,) = drawn_hands.between([one], [two], 0.5)
    np.testing.assert_allclose(half.wrist, (50, 80))
    assert half.index == two.index and np.isclose(np.linalg.norm(half.along), 1)
    assert drawn_hands.between([one], [dataclasses.replace(two, label=ID["left-arm"])], 0.5) == ()


@pytest.mark.parametrize("seed", [0, 1])
def test_hands_look_as_the_catalogue_draws_them(seed):
    """Of poses that nobody drew hands from: the silhouettes overlap by half, in the middle of eight."""
    from data.catalogue import hands as built
    from data.catalogue import parts
    from vton_jax.catalogue import bodies, people, poses

    generator, person = np.random.default_rng([5, seed]), people.dress(bodies.Identity())
    alone, skin = parts.alone(person, built.PARTS, built.CUT), parts.skin(generator)
    keys, alphas, _ = drawn_hands.shapes()
    overlaps = []
    for _ in range(8):
        pose = poses.with_quiet_hands(poses.sample_pose(generator))
        key, alpha, _ = built.looked_at(person, alone, skin, pose)
        chosen = alphas[np.square(keys - key).sum(-1).argmin()] > 127
        true = alpha > 0.5
        overlaps.append((chosen & true).sum() / (chosen | true).sum())
    assert np.median(overlaps) > 0.5
