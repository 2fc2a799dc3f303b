"""People who move: what is followed is what the pictures show, heads turn as they say, faces move alone."""

import numpy as np
import pytest

from vton_jax.catalogue import moving

SIZE = (96, 96)


@pytest.fixture(scope="module")
def face():
    return moving.scene(0, "face", "validation", SIZE)


@pytest.fixture(scope="module")
def clip(face):
    return moving.draw_clip(face, [0.0, 0.9, 1.8])


def test_a_clip_has_its_shapes_and_is_a_function_of_its_number(face, clip):
    assert clip["frames"].shape == (3, *SIZE, 3) and clip["frames"].dtype == np.uint8
    assert clip["points"].shape == (3, moving.NUM_POINTS, 2) and clip["seen"].shape == (3, moving.NUM_POINTS)
    assert clip["seen"].mean() > 0.2 and clip["mask"].mean() > 0.1
    again = moving.scene(0, "face", "validation", SIZE).frame(0.9)
    np.testing.assert_array_equal(again["image"], clip["frames"][1])


def test_spots_that_are_seen_lie_on_the_person(clip):
    for points, seen, mask in zip(clip["points"], clip["seen"], clip["mask"], strict=True):
        column, row = np.rint(points[seen]).astype(int).T
        assert mask[row, column].all()


def test_spots_show_the_same_when_they_move(face, clip):
    """The ground stands still, and a spot's colour changes less between frames than the colour at its old place."""
    still = ~clip["mask"].any(0)
    difference = np.abs(clip["frames"][0].astype(int) - clip["frames"][1])[still].mean()
    assert difference < 12
    both = clip["seen"][0] & clip["seen"][2]
    column, row = np.rint(clip["points"][:, both]).astype(int).transpose(2, 0, 1)
    one, moved = (clip["frames"][t, row[t], column[t]].astype(float) for t in (0, 2))
    old = clip["frames"][2, row[0], column[0]].astype(float)
    assert np.abs(one - moved).mean() < np.abs(one - old).mean()


def test_a_turn_to_the_right_moves_the_nose_to_the_right():
    generator = np.random.default_rng(0)
    moves = moving.sample_head_motion(generator)
    scene = moving.scene(1, "face", "validation", SIZE)
    times = np.linspace(0, 6, 25)
    yaws = [moves.angles(t)[0] for t in times]
    low, high = (moving.Scene("face", scene.person, scene.skins, moves, scene.place).frame(times[i])
                 for i in (np.argmin(yaws), np.argmax(yaws)))  # fmt: skip
    nose = lambda frame: frame["joints"][0, 0] - frame["joints"][[16, 17], 0].mean()  # noqa: E731  against the ears
    assert high["angles"][0] > low["angles"][0] and nose(high) > nose(low)


def test_expressions_come_and_go_and_leave_the_body(face):
    moves = face.moves
    found = [moves.expression(t) for t in np.linspace(0, 8, 161)]
    closed = [one.get("expression/eye-left-closure", 0.0) for one in found]
    assert max(closed) == 1.0 and np.mean([value == 0 for value in closed]) > 0.5
    opened = [one.get("expression/mouth-open", 0.0) for one in found]
    assert max(opened) > 0.1
    bare = moving._with_expression(face.person, {"expression/mouth-open": 1.0})
    moved = np.abs(bare.vertices - face.person.vertices).max(1) > 1e-6
    assert moved.sum() > 0 and face.person.vertices[moved, 1].min() > 5  # decimetres above the middle: the head's


def test_bodies_are_shown_whole():
    scene = moving.scene(2, "body", "validation", SIZE)
    clip = moving.draw_clip(scene, [0.0, 1.5])
    rows = np.nonzero(clip["mask"].any((0, 2)))[0]
    assert rows[0] > 0 and rows[-1] < SIZE[0] - 1 and rows[-1] - rows[0] > 0.6 * SIZE[0]
