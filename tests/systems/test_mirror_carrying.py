"""What the mirror shows between frames that are dressed, with a mirror that paints what is dark, and is late."""

import concurrent.futures

import cv2
import numpy as np
import pytest

from vton_jax.core.errors import UserError
from vton_jax.systems.mirror.carrying import Carried

SIZE = (96, 128)
COLOURS = {"1": (220, 20, 20), "2": (20, 40, 220)}
_NOISE = np.random.default_rng(0)
WALL = cv2.GaussianBlur(_NOISE.uniform(120, 255, (*SIZE, 3)), (5, 5), 0).astype(np.uint8)
CLOTH = cv2.GaussianBlur(_NOISE.uniform(0, 80, (60, 30, 3)), (5, 5), 0).astype(np.uint8)  # some texture moves along


def somebody(left):
    """Before a wall, in dark clothes."""
    frame = WALL.copy()
    frame[20:80, left : left + 30] = CLOTH
    return frame


class Painting:
    """Dresses whatever is dark, where there is enough of it."""

    size, flip = SIZE, False

    def __init__(self):
        self.colour, self.asked = COLOURS["1"], 0

    def key(self, key):
        if key == "m":
            self.flip = not self.flip
        else:
            self.colour = COLOURS[key]

    def turned(self, shown):
        return shown[:, ::-1] if self.flip else shown

    def note(self):
        return "told"

    def dress(self, frame):
        self.asked += 1
        dark = frame.max(-1) < 100
        return np.where(dark[..., None], np.uint8(self.colour), frame) if dark.sum() > 400 else None


class Late(concurrent.futures.Executor):
    """Lets what was asked for be done only when the test says so."""

    def __init__(self):
        self.waiting = []

    def submit(self, function, *arguments):
        made = concurrent.futures.Future()
        self.waiting.append((made, function, arguments))
        if len(self.waiting) == 1 and not getattr(self, "begun", False):  # the first is waited for
            self.begun = True
            self.do()
        return made

    def do(self):
        made, function, arguments = self.waiting.pop()
        try:
            made.set_result(function(*arguments))
        except Exception as error:
            made.set_exception(error)


@pytest.fixture
def late():
    return Late()


def coloured(shown, colour):
    return np.abs(shown.astype(int) - colour).max(-1) < 30


def place(mask):
    """(left, right) of the columns that most of a mask's rows fill."""
    columns = np.flatnonzero(mask[30:70].mean(0) > 0.5)
    return columns[0], columns[-1] + 1


def test_a_frame_that_was_just_dressed_is_shown_as_it_was_dressed(late):
    mirror = Painting()
    frame = somebody(40)
    shown = Carried(mirror, late).process(frame)
    np.testing.assert_allclose(shown[24:76, 44:66], mirror.dress(frame)[24:76, 44:66], atol=1)
    np.testing.assert_array_equal(shown[:, 90:], frame[:, 90:])


def test_a_garment_goes_along_while_the_next_frame_is_dressed(late):
    mirror = Painting()
    carried = Carried(mirror, late)
    for left in range(40, 61, 2):
        shown = carried.process(somebody(left))
        assert np.abs(np.subtract(place(coloured(shown, COLOURS["1"])), (left, left + 30))).max() <= 5, left
        np.testing.assert_allclose(shown[:, :30], WALL[:, :30], atol=1)
    assert mirror.asked == 1 and carried.dressed == 1
    late.do()  # the frame dressed next is of twenty pixels ago, and is caught up with
    shown = carried.process(somebody(62))
    assert carried.dressed == 2
    assert np.abs(np.subtract(place(coloured(shown, COLOURS["1"])), (62, 92))).max() <= 5


def test_what_looks_otherwise_is_shown_as_it_is(late):
    """A hand or a ball before the garment, or another scene."""
    carried = Carried(Painting(), late)
    carried.process(somebody(40))
    frame = somebody(40)
    frame[40:60, 45:65] = (250, 240, 60)
    shown = carried.process(frame)
    assert np.abs(shown[46:54, 51:59].astype(int) - (250, 240, 60)).max() < 20
    np.testing.assert_allclose(carried.process(np.full_like(frame, 240)), 240, atol=25)


def test_a_garment_changes_with_the_next_dressed_frame_and_sides_at_once(late):
    carried, frame = Carried(Painting(), late), somebody(40)
    carried.process(frame)
    carried.key("2")
    carried.process(frame)
    assert coloured(carried.process(frame), COLOURS["1"])[50, 55]
    late.do()  # begun before the key was pressed
    carried.process(frame)
    late.do()
    assert coloured(carried.process(frame), COLOURS["2"])[50, 55]
    carried.key("m")
    assert coloured(carried.process(frame), COLOURS["2"])[50, SIZE[1] - 1 - 55]
    assert carried.note() == "told"


def test_nobody_is_left_undressed_and_frames_stay_as_they_are(late):
    carried = Carried(Painting(), late)
    np.testing.assert_array_equal(carried.process(WALL), WALL)
    np.testing.assert_array_equal(carried.process(somebody(40)), somebody(40))
    late.do()
    assert coloured(carried.process(somebody(40)), COLOURS["1"])[50, 55]


def test_what_goes_wrong_while_dressing_is_said(late):
    class Broken(Painting):
        def dress(self, frame):
            if self.asked:
                raise UserError("The garment was lost.")
            return super().dress(frame)

    carried = Carried(Broken(), late)
    carried.process(somebody(40))
    carried.process(somebody(40))
    late.do()
    with pytest.raises(UserError, match="lost"):
        carried.process(somebody(40))


def test_a_thread_dresses_beside():
    carried, frame = Carried(Painting()), somebody(40)
    while carried.dressed < 3:
        shown = carried.process(frame)
    assert coloured(shown, COLOURS["1"])[50, 55]
