"""Cuts, one person among several, people who leave, and poses that are held over: on boxes and label maps alone."""

import numpy as np
import pytest

from vton_jax.core.errors import NoPersonFound, PersonLost
from vton_jax.reading import clip_following

SIZE = (96, 128)


def labels_of(*boxes):
    labels = np.zeros(SIZE, np.uint8)
    for left, top, right, bottom in boxes:
        labels[top:bottom, left:right] = 4
    return labels


def person(middle, height=80.0, width=24.0):
    return [middle - width / 2, 90 - height, middle + width / 2, 90.0]


def usable(text):
    return np.array([letter == "x" for letter in text])


def held(text, starts=(0,), rate=10):
    return clip_following.hold_over(usable(text), starts, rate)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("xxxx", [0, 1, 2, 3]),
        (".xxx", [1, 1, 2, 3]),
        ("x..x" + "x" * 4, [0, 0, 0, 3, 4, 5, 6, 7]),
        ("xxxx..", [0, 1, 2, 3, 3, 3]),
        ("......xxxxxx", range(6, 12)),  # more than half a second at an end is left out
        ("xxxxxx......", range(6)),
    ],
)
def test_the_pose_before_is_held(text, expected):
    found = held(text)
    assert found.frames.tolist() == list(expected)
    assert bool(found.note) == ("." in text)


def test_the_note_says_what_was_done():
    assert held(".xxxx").note == "nobody is found in 1 of the 5 pose frames: 1 keeps the pose beside it"
    note = held("xxx.xxxxxx......").note
    assert note.startswith("nobody is found in 7 of the 16 pose frames: ")
    assert "the clip ends at 1.0 s" in note and "1 keeps the pose" in note


def test_a_single_frame_is_bridged_at_any_rate():
    assert held("x.x", rate=1).frames.tolist() == [0, 0, 2]


def test_after_a_cut_the_next_pose_is_used_not_the_one_before():
    assert held("xxx.xx", starts=(0, 3)).frames.tolist() == [0, 1, 2, 4, 4, 5]
    assert held("xxx..xxx", starts=(0, 3, 5)).frames.tolist() == [0, 1, 2, 2, 2, 5, 6, 7]  # a shot of nobody


def test_beyond_the_limits_one_sentence():
    with pytest.raises(PersonLost, match=r"nobody from 1\.0 s to 1\.6 s, longer than the 0\.5 s .*; give a part"):
        held("x" * 10 + "......" + "x" * 10)
    with pytest.raises(PersonLost, match="nobody in 6 of its 13 frames"):
        held("x.x.x.x.x.x.x")
    with pytest.raises(PersonLost, match="in 16 of its 20 frames"):
        held("................xxxx")
    with pytest.raises(NoPersonFound, match="in the pose clip"):
        held("....")
    with pytest.raises(NoPersonFound, match="in the pose picture"):
        held(".", rate=None)


def test_who_stands_there():
    """Two people, the smaller one's detached shoe, and a speck: the specks are the nearest person's."""
    boxes, owner = clip_following.people(
        labels_of((80, 20, 100, 70), (82, 74, 90, 78), (20, 10, 44, 90), (104, 50, 110, 60))
    )
    assert boxes.tolist() == [[20, 10, 44, 90], [80, 20, 100, 70]]
    assert owner[15, 30] == 0 and owner[30, 90] == owner[75, 85] == owner[55, 106] == 1 and owner[0, 0] == -1


def test_one_person_in_two_pieces_is_one():
    boxes, owner = clip_following.people(labels_of((20, 5, 44, 48), (22, 50, 40, 90)))
    assert len(boxes) == 1 and owner.max() == 0
    assert len(clip_following.people(labels_of())[0]) == 0


def test_the_largest_is_followed_though_another_becomes_larger():
    left = [person(30 + 2 * t) for t in range(8)]
    right = [person(100 - t, height=60 + 4 * t) for t in range(8)]
    frames = []
    for a, b in zip(left, right, strict=True):
        frames.append(np.array([a, b] if a[3] - a[1] >= b[3] - b[1] else [b, a]))
    found = clip_following.follow(frames, (0,), 10)
    assert [frames[t][found[t]].tolist() for t in range(8)] == left


def test_nobody_is_taken_for_a_person_who_has_left():
    frames = [np.array([person(30), person(90)])] * 3 + [np.array([person(90)])] * 12
    assert clip_following.follow(frames, (0,), 10).tolist() == [0] * 3 + [-1] * 12
    back = [*frames[:8], np.array([person(90), person(28)])]
    assert clip_following.follow(back, (0,), 10).tolist() == [0] * 3 + [-1] * 5 + [1]


def test_a_cut_restarts_the_tracking():
    frames = [np.array([person(30), person(90)])] * 3 + [np.array([person(90), person(30)])] * 3
    assert clip_following.follow(frames, (0, 3), 10).tolist() == [0] * 6
    assert clip_following.follow(frames, (0,), 10).tolist() == [0] * 3 + [1] * 3


def test_somebody_who_leaves():
    """Walking out at the right: cut off at the edge is no longer a pose, turning aside there is."""
    boxes = np.array([person(60), person(100), [108, 10, 128, 90], [120, 10, 128, 90], [np.nan] * 4])
    picture = np.array([0, 0, 128, 96])
    assert clip_following.leaving(boxes, picture).tolist() == [False, False, False, True, False]
    always = np.array([[120, 10, 128, 90]] * 3)
    assert not clip_following.leaving(always, picture).any()  # nothing shows how wide they are


def scene(colour, shift=0, count=4, level=1.0):
    frames = np.zeros((count, *SIZE, 3), np.uint8)
    frames[:] = np.uint8(level * np.array([230, 230, 225]))
    for index in range(count):
        at = 20 + shift + 3 * index
        frames[index, 10:90, at : at + 40] = np.uint8(level * np.array(colour))
    return list(frames)


def test_where_shots_begin():
    first, second = scene((200, 40, 40)), scene((20, 60, 160), shift=30)
    black = [np.zeros((*SIZE, 3), np.uint8)]
    assert clip_following.shot_starts(first) == (0,)
    assert clip_following.shot_starts([*first, *second]) == (0, 4)
    assert clip_following.shot_starts([*first[:2], *black, *first[2:]]) == (0,)  # a black frame is no cut
    assert clip_following.shot_starts([*first, *black, *second]) == (0, 5)
    fade = [scene((200, 40, 40), count=1, level=level)[0] for level in np.linspace(0.1, 1, 10)]
    assert clip_following.shot_starts([*black, *fade]) == (0,)
    assert clip_following.shot_starts(black * 3) == clip_following.shot_starts(first[:1]) == (0,)
