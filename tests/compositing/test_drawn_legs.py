"""Legs of the catalogue where the photo shows none: their outlines, what stays, and their colours."""

import types

import numpy as np
import pytest

from vton_jax.compositing import bare_limbs, drawn_legs
from vton_jax.core import segmentation
from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.segmentation import ID
from vton_jax.layout import limbs

SIZE, HEIGHT = (160, 120), 150.0
RIGHT, LEFT, SKIRT, SHOE = ID["right-leg"], ID["left-leg"], ID["skirt"], ID["right-shoe"]


def body(turn=0.0, shift=0.0):
    """Somebody who stands, to the knees above row 90."""
    points, visible = np.zeros((18, 2), np.float32), np.zeros(18, bool)
    for side, x in (("right", 45), ("left", 75)):
        for joint, y in (("hip", 53), ("knee", 90), ("ankle", 127)):
            points[JOINTS[f"{side}-{joint}"]], visible[JOINTS[f"{side}-{joint}"]] = (x + shift, y), True
    look = np.float32([np.cos(turn), np.sin(turn)])
    return types.SimpleNamespace(joints=points, visible=visible, height=HEIGHT, turn=look)


def trousers_of_skin(half=9, hem=80):
    """A map as trousers' outlines leave it: a skirt, below its hem bare tubes, shoes."""
    final = np.zeros(SIZE, np.uint8)
    final[50:hem, 30:91] = SKIRT
    for label, x in ((RIGHT, 45), (LEFT, 75)):
        final[hem:128, x - half : x + half + 1] = label
        final[128:136, x - half : x + half + 1] = SHOE + (label == LEFT)
    return final


NOBODY = np.zeros(SIZE, np.uint8)


def test_tubes_become_legs_and_nothing_else_changes():
    final = trousers_of_skin()
    out, legs = drawn_legs.with_legs(NOBODY, final, body())
    assert {leg.label for leg in legs} == {RIGHT, LEFT}
    changed = out != final
    assert changed.any() and np.isin(final[changed], (RIGHT, LEFT)).all() and (out[changed] == 0).all()
    wide = (out == RIGHT).sum(1)
    assert wide[122] < wide[90] <= wide[100] <= 19 and wide[122] > 4  # ankle, knee, calf
    assert (out[127] == RIGHT).any()  # it reaches the shoe


def test_legs_are_no_wider_than_the_map_has_them():
    thin, thick = (drawn_legs.with_legs(NOBODY, trousers_of_skin(half), body())[0] for half in (3, 9))
    assert (thin == RIGHT).sum() < 0.85 * (thick == RIGHT).sum()


def test_legs_that_the_photo_shows_stay_as_they_are():
    final = trousers_of_skin()
    one = np.where(np.isin(final, (RIGHT, SKIRT)), final, 0).astype(np.uint8)  # the other one is its mirror image
    for labels in (final, one):
        out, legs = drawn_legs.with_legs(labels, final, body())
        assert not legs and (out == final).all()
    ankles = np.where(np.arange(SIZE[0])[:, None] > 121, final, 0).astype(np.uint8)
    assert len(drawn_legs.with_legs(ankles, final, body())[1]) == 2


def test_left_legs_are_mirror_images_of_right_ones():
    final, mirror = trousers_of_skin(), segmentation.MIRROR
    for turn in (0.0, 0.7):
        there, mirrored = body(turn), body(-turn, SIZE[1] - 1 - 120)
        out, _ = drawn_legs.with_legs(NOBODY, final, there)
        other = np.asarray(mirror)[final[:, ::-1]].astype(np.uint8)
        back, _ = drawn_legs.with_legs(NOBODY, other, mirrored)
        np.testing.assert_array_equal(np.asarray(mirror)[back[:, ::-1]], out)


def test_what_lies_before_a_leg_stays_and_crossed_legs_keep_their_own():
    final = trousers_of_skin()
    final[95:105, 30:60] = ID["bag"]
    out, _ = drawn_legs.with_legs(NOBODY, final, body())
    assert (out[95:105, 30:60] == ID["bag"]).all()
    crossed = trousers_of_skin()
    crossed[80:128, 50:55] = LEFT
    out, _ = drawn_legs.with_legs(NOBODY, crossed, body())
    assert not ((out == RIGHT) & (crossed == LEFT)).any()


def test_a_leg_keeps_its_outlines_of_which_no_joint_is_seen_and_both_theirs_that_are_hardly_more_than_socks():
    there, final = body(), trousers_of_skin()
    there.visible[JOINTS["right-ankle"]] = False
    out, (leg, other) = drawn_legs.with_legs(NOBODY, final, there)
    assert leg.label == LEFT and leg.detail.any() and (out == RIGHT).sum() == (final == RIGHT).sum()
    assert other.label == RIGHT and not other.detail.any()  # in the colours of the one beside it
    final = trousers_of_skin(hem=116)  # the shin reaches from row 90 to 127
    out, legs = drawn_legs.with_legs(NOBODY, final, body())
    assert not legs and (out == final).all()


def test_no_legs_no_work():
    final = np.where(trousers_of_skin() == SKIRT, SKIRT, 0).astype(np.uint8)
    out, legs = drawn_legs.with_legs(NOBODY, final, None)
    assert out is final and not legs


@pytest.mark.parametrize("arms_seen", [False, True])
def test_drawn_legs_have_the_faces_colours_and_other_legs_those_that_were_painted(arms_seen):
    final = trousers_of_skin()
    labels, photo = np.zeros(SIZE, np.uint8), np.full((*SIZE, 3), 0.5, np.float32)
    labels[5:20, 50:70], photo[5:20, 50:70] = ID["face"], (0.8, 0.6, 0.5)
    if arms_seen:  # a little brighter than the face
        labels[40:60, 10:20], photo[40:60, 10:20] = ID["left-arm"], (0.85, 0.66, 0.57)
    out, legs = drawn_legs.with_legs(labels, final, body())
    painted, even = np.full((*SIZE, 3), 0.2, np.float32), np.ones(SIZE, np.float32)
    found = bare_limbs.shaded(photo, labels, limbs.limbs_of(out, body()), out, painted, (even, even), legs=legs)
    leg = np.median(found[out == RIGHT], 0)
    np.testing.assert_allclose(leg, (0.82, 0.62, 0.51), atol=0.05)
    assert (found[~np.isin(out, (RIGHT, LEFT))] == 0.2).all()
    plain = bare_limbs.shaded(photo, labels, limbs.limbs_of(out, body()), out, painted, (even, even))
    assert (plain[np.isin(out, (RIGHT, LEFT))] == 0.2).all()


def test_legs_look_as_the_catalogue_draws_them():
    """Of poses that nobody drew legs from: what lies between the outlines overlaps by four fifths, in the middle."""
    from data.catalogue import legs as built
    from data.catalogue import parts
    from vton_jax.catalogue import bodies, people, poses

    generator, person = np.random.default_rng(5), people.dress(bodies.Identity())
    alone, skin = parts.alone(person, built.PARTS, built.CUT), parts.skin(generator)
    keys, outlines, _ = drawn_legs.views()
    overlaps = []
    for _ in range(10):
        key, true, _ = built.looked_at(person, alone, skin, poses.sample_pose(generator))
        if built.is_whole(true):
            chosen = outlines[np.square(keys - key).sum(-1).argmin()].astype(np.float32)
            one, two = (drawn_legs.between(*edges.T)[drawn_legs.BINS // 4 :] for edges in (chosen, true))
            overlaps.append((one & two).sum() / (one | two).sum())
    assert len(overlaps) > 5 and np.median(overlaps) > 0.8
