"""The photo's shoes in the outlines of the target's."""

import types

import cv2
import numpy as np
import pytest

from vton_jax.compositing import ends, shoes
from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.segmentation import ID
from vton_jax.core.types import Layout, User

SIZE = (120, 100)


def body(**ankles):
    points, visible = np.zeros((18, 2), np.float32), np.zeros(18, bool)
    for side, place in ankles.items():
        points[JOINTS[f"{side}-ankle"]], visible[JOINTS[f"{side}-ankle"]] = place, True
    return types.SimpleNamespace(joints=points, visible=visible, height=100.0)


def ellipse(label, middle, half, labels=None):
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    inside = np.hypot((columns - middle[0]) / half[0], (rows - middle[1]) / half[1]) < 1
    return np.where(inside, ID[label], 0 if labels is None else labels).astype(np.uint8)


def pixels(shoe, picture, final):
    """What lies in the target's shoe."""
    return cv2.remap(picture, shoe.place, None, cv2.INTER_LINEAR)[final == shoe.label]


def colours(labels):
    """Where a pixel is, and whether it is shoe."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.stack([columns, rows, 100 * (labels > 0)], -1).astype(np.float32)


def test_a_shoe_is_stretched_from_outline_to_outline():
    labels = ellipse("left-shoe", (30, 40), (12, 6))
    final = ellipse("left-shoe", (60, 90), (18, 12))
    (shoe,) = shoes.shoes(labels, final, body(), body())
    assert shoe.label == ID["left-shoe"]
    for (x, y), expected in {(60, 90): (30, 40), (69, 90): (36, 40), (60, 84): (30, 37)}.items():
        np.testing.assert_allclose(shoe.place[y, x], expected, atol=0.5)
    assert pixels(shoe, colours(labels), final)[:, 2].min() == 100  # nothing of the ground


@pytest.mark.parametrize("ankle, mirrored", [((52, 88), False), ((68, 88), True), ((60, 88), False)])
def test_a_shoe_that_points_the_other_way_is_mirrored(ankle, mirrored):
    """In the photo it points to the right of the ankle."""
    labels = ellipse("right-shoe", (30, 40), (12, 6))
    final = ellipse("right-shoe", (60, 90), (12, 6))
    (shoe,) = shoes.shoes(labels, final, body(right=(22, 38)), body(right=ankle))
    np.testing.assert_allclose(shoe.place[90, 66], (24 if mirrored else 36, 40), atol=0.5)


def test_a_hidden_shoe_is_the_others_mirror_image():
    labels = ellipse("right-shoe", (30, 40), (12, 6))
    final = ellipse("left-shoe", (70, 90), (12, 6), ellipse("right-shoe", (30, 90), (12, 6)))
    right, left = shoes.shoes(labels, final, body(), body())
    (alone,) = shoes.shoes(labels, final, body(), body(), {ID["right-shoe"]})
    assert alone.label == ID["left-shoe"]
    np.testing.assert_allclose(right.place[90, 36], (36, 40), atol=0.5)
    np.testing.assert_allclose(left.place[90, 76], (24, 40), atol=0.5)


def test_no_shoe_comes_from_where_none_is_seen_or_goes_where_none_is():
    labels, speck = ellipse("left-shoe", (30, 40), (12, 6)), ellipse("left-shoe", (30, 40), (1.5, 1.5))
    assert not shoes.shoes(labels, np.zeros(SIZE, np.uint8), body(), body())
    assert not shoes.shoes(np.zeros(SIZE, np.uint8), labels, body(), body())
    assert not shoes.shoes(speck, labels, body(), body())


def test_the_photos_shoes_come_into_the_outlines_and_not_beside_them():
    labels = ellipse("left-shoe", (30, 40), (12, 6))
    final = ellipse("left-shoe", (60, 90), (12, 6))
    photo = colours(labels) / np.float32([SIZE[1], SIZE[0], 100])
    layout = Layout(labels, np.zeros((18, 2), np.float32), np.zeros(18, bool))
    user = User(photo, layout, None, np.ones(SIZE, bool))
    (carried,) = ends.carried_shoes(user, (body(), body()), final)
    assert not carried.weight[final == 0].any() and carried.weight[90, 60] > 0.9
    np.testing.assert_allclose(carried.picture[90, 60], photo[40, 30], atol=0.01)
    np.testing.assert_allclose(carried.flow[90, 60], [-30, -50], atol=0.5)
    unseen = user.replace(shown=np.zeros(SIZE, bool))
    assert not ends.carried_shoes(unseen, (body(), body()), final)


LEG, TROUSERS, MOVED = ID["right-leg"], ID["pants"], np.zeros(18, np.float32)


def shin(body, width=3.0):
    """A leg down to the ankle."""
    points = body.joints
    points[JOINTS["right-knee"]] = points[JOINTS["right-ankle"]] - [0, 25]
    return np.where(ellipse("right-leg", points[JOINTS["right-ankle"]] - [0, 15], (width, 15)) > 0, LEG, 0)


def whole(labels, final, ankles, still=MOVED):
    """`with_whole_shoes` of somebody whose right ankle moves from one place to another."""
    bodies = body(right=ankles[0]), body(right=ankles[1])
    bodies[1].joints[JOINTS["right-knee"]] = np.subtract(ankles[1], (0, 25))
    return shoes.with_whole_shoes(labels, final, bodies, still)


def test_a_shoe_keeps_its_shape_and_the_targets_outline_gives_way():
    """The photo shows a low shoe, the pose's picture a boot."""
    labels, boot = ellipse("right-shoe", (30, 42), (10, 5)), ellipse("right-shoe", (62, 85), (8, 14))
    final = np.where((boot == 0) & (shin(body(right=(60, 78))) > 0), LEG, boot).astype(np.uint8)
    out, (shoe,) = whole(labels, final, ((28, 38), (60, 88)))
    np.testing.assert_array_equal(out == ID["right-shoe"], np.roll(labels, (50, 32), (0, 1)) > 0)
    np.testing.assert_allclose(shoe.place[90, 60], (28, 40), atol=1e-4)
    bared = (boot > 0) & (out != ID["right-shoe"])
    assert (out[75:84, 60] == LEG).all() and (out[bared & (np.arange(120)[:, None] > 97)] == 0).all()
    assert (out[75:84][:, 66:][bared[75:84][:, 66:]] == 0).all()  # a leg is not as wide as a boot's shaft


def test_a_whole_shoe_is_turned_over_where_the_target_points_the_other_way():
    labels = ellipse("right-shoe", (36, 42), (10, 4))  # to the right of its ankle
    final = ellipse("right-shoe", (52, 92), (10, 4))
    out, (shoe,) = whole(labels, final, ((28, 40), (60, 90)))
    assert (out == final).all()
    np.testing.assert_allclose(shoe.place[92, 50], (38, 42), atol=1e-4)


def test_clothes_stay_before_shoes_but_trousers_behind_boots():
    for tall, shown in ((1, False), (16, True)):
        labels = ellipse("right-shoe", (30, 42 - tall / 2), (8, 3 + tall))
        final = ellipse("right-shoe", (60, 92 - tall / 2), (8, 3 + tall))
        final[:90] = np.where(final[:90] > 0, TROUSERS, 0)
        out, found = whole(labels, final, ((30, 42), (60, 92)))
        assert len(found) == 1 and (final[:90] == TROUSERS).any()
        assert (out[:90] == ID["right-shoe"]).any() == shown
    final = np.where(ellipse("right-shoe", (60, 92), (8, 12)) > 0, ID["right-shoe"], 0).astype(np.uint8)
    final[:90] = np.where(final[:90] > 0, ID["skirt"], 0)
    out, _ = whole(labels, final, ((30, 42), (60, 92)))
    assert (out[final == ID["skirt"]] == ID["skirt"]).all()


def test_shoes_that_stand_still_or_do_not_fit_stay():
    labels, final = ellipse("right-shoe", (30, 42), (10, 5)), ellipse("right-shoe", (60, 92), (10, 5))
    still = MOVED.copy()
    still[ID["right-shoe"]] = 1
    for given in (
        (labels, final, ((28, 40), (60, 90)), still),
        (np.zeros(SIZE, np.uint8), final, ((28, 40), (60, 90))),
        (labels, ellipse("right-shoe", (60, 60), (10, 5)), ((28, 40), (60, 100))),  # another's ankle
    ):
        out, found = whole(*given)
        assert not found and (out == given[1]).all()
