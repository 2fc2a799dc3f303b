"""The largest thing in a picture, and what stands apart from it."""

import numpy as np

from vton_jax.reading import picture_reader


def scene(*boxes):
    there = np.zeros((200, 150), bool)
    for top, bottom, left, right in boxes:
        there[top:bottom, left:right] = True
    return there


def test_what_lies_close_belongs_to_the_largest_piece():
    person, shoe, far = (20, 150, 20, 60), (151, 160, 30, 50), (30, 90, 100, 130)
    there = scene(person, shoe, far)
    first, second = picture_reader.pieces_of(there)
    np.testing.assert_array_equal(first, scene(person, shoe))
    np.testing.assert_array_equal(second, scene(far))
    np.testing.assert_array_equal(picture_reader.box_of(there), [20, 20, 60, 160])


def test_specks_are_nothing():
    assert picture_reader.box_of(scene((0, 5, 0, 5))) is None
    assert picture_reader.pieces_of(scene()) == []


def test_a_second_person_is_counted_and_a_bag_is_not():
    def seen(*boxes):
        labels = np.zeros((200, 150, 18), np.float32)
        labels[..., 0] = 1 - scene(*boxes)
        labels[..., 4] = scene(*boxes)
        return picture_reader.Seen(*[np.zeros(3)], labels, *[np.zeros(18)] * 3, *[np.zeros(4)] * 3)

    assert seen((20, 150, 20, 60), (30, 120, 100, 130)).others == 1
    assert seen((20, 150, 20, 60), (100, 120, 100, 115)).others == 0
    assert seen().others == 0


def test_a_garments_mask_is_one_piece_without_holes():
    probability = scene((20, 150, 20, 60), (5, 15, 100, 120)).astype(np.float32)
    probability[60:80, 30:40] = 0.2
    np.testing.assert_array_equal(picture_reader.filled_piece(probability), scene((20, 150, 20, 60)))
