"""Clothes that stay, whole again where something hid them."""

import cv2
import numpy as np
import pytest
from uniform_result import dressed

from vton_jax.compositing import hidden_cloth
from vton_jax.core import segmentation
from vton_jax.core.types import Layout, User

SIZE = (256, 192)
ID = segmentation.ID
UPPER = segmentation.GARMENT_TYPES.index("upper")
COAT, TROUSERS = np.s_[40:150, 60:132], np.s_[100:230, 70:122]


def striped():
    """Trousers with stripes across, a colour for each phase, over grey: float32 [H, W, 3]."""
    picture = np.full((*SIZE, 3), 0.5, np.float32)
    rows = np.arange(SIZE[0]) % 8 < 4
    picture[TROUSERS] = np.where(rows[:, None, None], np.float32([0.1, 0.2, 0.6]), np.float32([0.2, 0.4, 0.8]))[100:230]
    return picture


def in_a_coat(bag=False):
    """(user in a red coat to the knees over these trousers, final map without it, the picture without it)."""
    labels, final, truth = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8), striped()
    labels[TROUSERS] = final[TROUSERS] = ID["pants"]
    labels[COAT] = ID["upper-clothes"]
    final[40:104, 70:122] = ID["upper-clothes"]
    photo = truth.copy()
    photo[COAT] = (0.8, 0.1, 0.1)
    if bag:
        labels[180:200, 90:110] = final[180:200, 90:110] = ID["bag"]
        photo[180:200, 90:110] = (0, 1, 0)
    layout = Layout(labels, np.zeros((18, 2), np.float32), np.ones(18, bool))
    return User(photo, layout, None, np.ones(SIZE, bool)), final, truth


def test_trousers_go_on_below_a_coat_that_comes_off():
    user, final, truth = in_a_coat()
    found = hidden_cloth.completed(user, final, UPPER, bag_stays=True)
    uncovered = np.s_[108:148, 72:120]
    assert found.hole[uncovered].all() and not found.hole[:100].any() and not found.hole[170:].any()
    assert np.abs(found.user.image[uncovered] - truth[uncovered]).mean() < 0.03  # stripes in their own phase
    assert (found.user.layout.segmentation[uncovered] == ID["pants"]).all()
    for of in (found.user.image, user.image):
        np.testing.assert_array_equal(of[170:], user.image[170:])
    assert user.layout.segmentation[120, 80] == ID["upper-clothes"]  # what was given stays as it is
    # Flows lead to the trousers that the photo shows.
    places = np.indices(SIZE)[:, found.hole] + found.flow[found.hole].T[::-1]
    rows, columns = np.rint(places).astype(int)
    seen = user.layout.segmentation == ID["pants"]
    assert seen[rows, columns][found.sure[found.hole] > 0].all() and found.sure[found.hole].mean() > 0.5


def test_what_a_bag_hid_is_made_up_where_it_does_not_stay():
    user, final, truth = in_a_coat(bag=True)
    whole, kept = (hidden_cloth.completed(user, final, UPPER, bag_stays=stays) for stays in (False, True))
    bag = np.s_[182:198, 92:108]
    assert np.abs(whole.user.image[bag] - truth[bag]).mean() < 0.05
    np.testing.assert_array_equal(kept.user.image[bag], user.image[bag])
    assert (kept.user.layout.segmentation[bag] == ID["bag"]).all()


@pytest.mark.parametrize("kind", segmentation.GARMENT_TYPES)
def test_where_nothing_was_hidden_nothing_is_made_up(kind):
    user, final, _ = in_a_coat()
    labels = user.layout.segmentation
    index = segmentation.GARMENT_TYPES.index(kind)
    assert hidden_cloth.completed(user, labels, index, bag_stays=False) is None
    if kind != "upper":  # of all that is worn, or below, the coat hides nothing that stays
        assert hidden_cloth.completed(user, final, index, bag_stays=False) is None
    bare = user.replace(layout=user.layout.replace(segmentation=np.where(labels == ID["pants"], 0, labels)))
    assert hidden_cloth.completed(bare, final, index, bag_stays=False) is None  # nothing to copy from


def test_copies_lead_to_pixels_of_the_photo():
    """Of every pixel that the result copies, kept in its place or moved by a flow, the photo itself says the colour."""
    user, final, _ = in_a_coat()
    found = hidden_cloth.completed(user, final, UPPER, bag_stays=True)
    rows, columns = np.indices(SIZE, np.float32)
    for before in (
        dressed(photo_weight=1.0, size=SIZE), dressed(moved_weight=1.0, flow=(0, -3), size=SIZE),
    ):  # fmt: skip
        after = found.copied(before)
        made = np.asarray(before.photo_weight[0, 0]) > 0
        flow = np.zeros((*SIZE, 2), np.float32) if made else np.asarray(before.photo_flow)
        expected = cv2.remap(found.user.image, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_NEAREST)
        at = columns + after.photo_flow[..., 0], rows + after.photo_flow[..., 1]
        copied = cv2.remap(user.image, *np.float32(at), cv2.INTER_NEAREST)
        sure = cv2.erode(np.float32(after.moved_weight), np.ones((9, 9))) > 0.99
        assert sure.mean() > 0.01
        # Colours meet around what was hidden: they differ by a shade.
        assert np.abs(copied - expected)[sure].mean() < 0.05
        outside = ~found.hole & (cv2.dilate(np.uint8(found.hole), np.ones((9, 9))) == 0)
        for name in ("photo_weight", "moved_weight", "photo_flow"):
            np.testing.assert_array_equal(getattr(after, name)[outside], getattr(before, name)[outside])
        assert (np.asarray(after.photo_weight)[found.hole] == 0).all()
