"""The photo's shoes in the outlines of the target's."""

import types

import cv2
import numpy as np
import pytest

from vton_jax.compositing import kept_parts, shoes
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
    (carried,) = kept_parts.carried_shoes(user, (body(), body()), final)
    assert not carried.weight[final == 0].any() and carried.weight[90, 60] > 0.9
    np.testing.assert_allclose(carried.picture[90, 60], photo[40, 30], atol=0.01)
    np.testing.assert_allclose(carried.flow[90, 60], [-30, -50], atol=0.5)
    unseen = user.replace(shown=np.zeros(SIZE, bool))
    assert not kept_parts.carried_shoes(unseen, (body(), body()), final)
