"""The live mirror with a system of a few lines: who is dressed, where they stand, keys, and runs from end to end."""

import re
import time
import types

import numpy as np
import pytest
from reads_shades import ReadsShades

from vton_jax.compositing import normalisation
from vton_jax.compositing.normalisation import Stand
from vton_jax.core import framing, segmentation
from vton_jax.core.errors import NoPersonFound, UserError, WrongOption
from vton_jax.core.types import Dressed, Garment, Layout, Pose, Result, Target
from vton_jax.media import live, live_run, photo_files, recording, video_files
from vton_jax.reading import clip_following
from vton_jax.systems.mirror import job
from vton_jax.systems.mirror.following import CHOSEN, Follower
from vton_jax.systems.mirror.mirror import Mirror
from vton_jax.systems.mirror.options import MirrorOptions
from vton_jax.systems.pictures import GarmentPicture
from vton_jax.systems.reader import Reader

SIZE = (32, 24)  # the networks'
WIDE = (32, 64)  # the camera's
WALL = (230, 200, 180)
RED, BLUE = (220, 20, 20), (20, 40, 220)


def people(*boxes, size=WIDE, wall=WALL):
    """A frame with somebody dark in every box (left, top, right, bottom)."""
    frame = np.full((*size, 3), wall, np.uint8)
    for left, top, right, bottom in boxes:
        frame[max(0, top) : bottom, max(0, left) : right] = (20, 30, 40)
    return frame


class Moving(ReadsShades):
    """Paints what is dark in the garment's mean colour."""

    size, moving = SIZE, True

    def __init__(self):
        self.reader, self.read, self.looks, self.users = self, [], 0, []

    @staticmethod
    def layout_of(frame):
        labels = np.where(np.asarray(frame).mean(-1) < 100, segmentation.ID["upper-clothes"], 0).astype(np.uint8)
        return Layout(labels, np.full((18, 2), 10.0, np.float32), np.ones(18, bool))

    def stand_of(self, picture):
        self.looks += 1
        place = framing.fit(picture, SIZE)[1]
        boxes, _ = clip_following.people(self.layout_of(picture).segmentation)
        if not len(boxes):
            return None
        left, top, right, bottom = boxes[0]
        (x, top), (_, bottom) = place.points(np.array([[(left + right) / 2, y] for y in (top, bottom)]) - 0.5) + 0.5
        return Stand(top / SIZE[0], bottom / SIZE[0], x / SIZE[1])

    def read_poses(self, frames, thorough=None):
        assert thorough is False and len(frames) == 1
        layouts, latents = self.read_layouts(frames)
        if not layouts.segmentation.any():
            raise NoPersonFound("the pose picture")
        return Pose(layouts, latents, usable=np.ones(1, bool))

    def read_garment(self, frame, garment_type=None, flat=None):
        self.read.append(frame)
        layout = Layout(np.full(SIZE, segmentation.ID["upper-clothes"], np.uint8), None, None)
        kind = segmentation.GARMENT_TYPES.index(garment_type or "upper")
        return Garment(frame.astype(np.float32) / 255, layout, np.int32(kind), np.bool_(bool(flat)))

    def dress(self, user, garments, poses):
        for one, labels in zip(user, poses.layout.segmentation, strict=True):
            self.users.append(one)
            worn = np.asarray(one.layout.segmentation) > 0
            image = np.where(worn[..., None], garments[0].image.mean((0, 1)), one.image).astype(np.float32)
            flow, kept = np.zeros((*SIZE, 2), np.float32), (~worn).astype(np.float32)
            dressed = Dressed(image, labels, flow, kept, 0 * kept, flow, 0 * kept)
            yield Result(dressed, Target(labels, labels, np.ones(1), {}))


def garment(colour, name="shirt.jpg"):
    return GarmentPicture(name, np.full((40, 30, 3), colour, np.uint8))


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def mirror(*colours, system=None, size=WIDE, **options):
    names = [f"{number}.jpg" for number in range(len(colours))]
    given = [garment(colour, name) for colour, name in zip(colours, names, strict=True)]
    return Mirror(system or Moving(), given, size, smooth=False, clock=Clock(), **options)


# ---------------------------------------------------------------------------------------------------- where they stand


@pytest.mark.parametrize("size", [(64, 128), (64, 40)])
@pytest.mark.parametrize("box", [(20, 10, 32, 50), (2, 30, 12, 62), (24, 4, 38, 40)])
def test_people_are_brought_to_the_size_that_networks_know(size, box):
    """Wherever in a wide or narrow frame they stand: measured in the picture that the networks would see."""
    frame, follower = people(box, size=size), Follower(Moving(), size)
    place = follower.place(frame, 0.0)
    assert place.right - place.left == follower.window[1] and place.window(frame).shape[:2] == follower.window
    seen = Moving.layout_of(place.normalisation.bring(place.window(frame), (256, 192))).segmentation > 0
    rows, columns = (np.flatnonzero(seen.any(axis)) for axis in (1, 0))
    wanted = normalisation.CHOSEN
    assert abs(rows[0] / 256 - wanted.top) < 0.03
    assert abs((columns[0] + columns[-1] + 1) / 2 / 192 - 0.5) < 0.03
    scale_is_free = place.normalisation.scale < wanted.largest
    assert not scale_is_free or abs((rows[-1] + 1) / 256 - wanted.bottom) < 0.03


def test_who_stands_still_stays_where_they_are_and_is_seldom_looked_for():
    reader = Moving()
    follower, places = Follower(reader, (64, 128)), set()
    for tick in range(50):  # five seconds
        sway = tick % 2  # a pixel
        places.add(follower.place(people((40 + sway, 10, 52 + sway, 50), size=(64, 128)), tick / 10))
    assert len(places) == 1 and reader.looks <= 1 + 5 / CHOSEN.again


def test_who_walks_is_followed_without_a_jump():
    reader = Moving()
    follower, shifts, middle = Follower(reader, (64, 128)), [], 20.0
    for tick in range(100):
        middle += 0.5 if tick < 60 else 0  # 5 pixels a second, an eighth of their height
        frame = people((round(middle) - 6, 10, round(middle) + 6, 50), size=(64, 128))
        place = follower.place(frame, tick / 10)
        seen = Moving.layout_of(place.normalisation.bring(place.window(frame), SIZE)).segmentation
        follower.read(seen)
        # Where the middle of the networks' frame lies in the camera's, in its pixels.
        scale, shift = place.normalisation.scale, place.normalisation.shift[0]
        shifts.append(place.left + (0.5 - shift) / scale * follower.window[1])
    steps = np.diff(shifts)
    assert np.abs(steps).max() < CHOSEN.small * 40 and steps.min() > -1e-6  # of the 30 pixels that they walk
    assert abs(shifts[-1] - middle) < 2


def test_somebody_else_is_followed_only_when_the_first_is_lost_and_then_at_once():
    follower, fresh = Follower(Moving(), (64, 128)), Follower(Moving(), (64, 128))
    assert follower.place(people(size=(64, 128)), 0.0) is None
    before = follower.place(people((10, 10, 20, 50), size=(64, 128)), 0.1)
    both = people((10, 10, 20, 50), (96, 4, 112, 62), size=(64, 128))
    other = fresh.place(both, 0.0)
    assert before.left == 0 and other.left == 128 - follower.window[1]  # the larger one
    assert follower.place(both, 0.1 + CHOSEN.again) == before
    follower.lost()
    assert follower.place(both, 0.2 + CHOSEN.again) == other


def test_who_comes_near_at_once_is_shown_as_they_are():
    follower = Follower(Moving(), (64, 128))
    follower.place(people((50, 40, 56, 54), size=(64, 128)), 0.0)
    near = people((50, 4, 64, 62), size=(64, 128))
    assert follower.place(near, CHOSEN.again) == Follower(Moving(), (64, 128)).place(near, 0.0)


def test_who_is_overlooked_once_is_not_lost():
    follower = Follower(Moving(), (64, 128))
    place = follower.place(people((40, 10, 52, 50), size=(64, 128)), 0.0)
    assert follower.place(people(size=(64, 128)), 10.0) == place  # until `lost` is said
    follower.lost()
    assert follower.place(people(size=(64, 128)), 10.1) is None


# ------------------------------------------------------------------------------------------------------------- a frame


def test_whoever_is_seen_wears_the_garment_and_the_room_stays():
    system = Moving()
    glass, frame = mirror(RED, system=system), people((30, 3, 40, 29))
    shown = glass.process(frame)
    assert shown.dtype == np.uint8 and shown.shape == frame.shape and glass.note() == ""
    assert np.abs(shown[8:24, 32:38].astype(int) - RED).max() < 8
    away = np.ones(WIDE, bool)
    away[:, 27:43] = False
    np.testing.assert_allclose(shown[away], frame[away], atol=2)
    assert system.users[0].backdrop is not None and system.users[0].shown.shape == SIZE


def test_larger_frames_regain_their_own_pixels():
    """The wall's fine stripes are finer than what networks see."""
    frame = people((60, 8, 90, 88), size=(96, 160))
    stripes = np.arange(160) % 4 < 2
    frame[:, stripes & (np.arange(160) < 40)] = 120
    shown = mirror(BLUE, size=(96, 160)).process(frame)
    np.testing.assert_array_equal(shown[:, :36], frame[:, :36])
    assert np.abs(shown[30:70, 68:82].astype(int) - BLUE).max() < 12


def test_where_nobody_is_seen_the_frame_passes_and_a_note_says_so():
    glass = mirror(RED)
    for frame in (people(), np.zeros((*WIDE, 3), np.uint8) + 130):
        np.testing.assert_array_equal(glass.process(frame), frame)
        assert glass.note() == "nobody is seen"
    assert np.abs(glass.process(people((30, 3, 40, 29)))[15, 35].astype(int) - RED).max() < 8
    assert glass.note() == ""
    # Followed, and then gone from the frame before anybody looks for them again.
    np.testing.assert_array_equal(glass.process(people()), people())
    assert glass.note() == "nobody is seen"


def test_keys_change_the_garment_which_is_read_once():
    system = Moving()
    glass, frame = mirror(RED, BLUE, system=system), people((30, 3, 40, 29))
    first, second = (RED, "1 of 2: 0.jpg"), (BLUE, "2 of 2: 1.jpg")
    for key, (colour, note) in (("", first), ("2", second), ("9", second), ("0", second), ("x", second), ("1", first)):
        glass.key(key)
        assert np.abs(glass.process(frame)[15, 35].astype(int) - colour).max() < 8, key
        assert glass.note() == note
    assert len(system.read) == 2


def test_m_mirrors_left_and_right():
    glass, frame = mirror(RED), people((10, 3, 20, 29))
    shown = glass.process(frame)
    glass.key("m")
    np.testing.assert_array_equal(glass.process(frame), shown[:, ::-1])
    np.testing.assert_array_equal(glass.process(people()), people())  # a plain wall
    glass.key("m")
    np.testing.assert_array_equal(glass.process(frame), shown)


def test_of_two_people_the_one_who_is_followed_is_dressed():
    frame = people((8, 2, 18, 30), (20, 6, 26, 28))  # both in the window
    shown = mirror(RED).process(frame)
    assert np.abs(shown[12:24, 10:16].astype(int) - RED).max() < 8
    assert np.abs(shown[12:24, 22:24].astype(int) - (20, 30, 40)).max() < 40


def test_smooth_mixes_with_the_frame_before():
    class Flickering(Moving):
        count = 0

        def dress(self, user, garments, poses):
            self.count += 1
            for result in super().dress(user, garments, poses):
                lighter = np.clip(result.image + 0.1 * (self.count % 2), 0, 1)
                yield Result(result.dressed.replace(image=lighter), result.target)

    def change(smooth, apart):
        clock = Clock()
        glass, shown = Mirror(Flickering(), [garment((60, 90, 120))], WIDE, smooth=smooth, clock=clock), []
        for _ in range(6):
            shown.append(glass.process(people((30, 3, 40, 29)))[8:24, 32:38].astype(float))
            clock.now += apart
        return np.abs(np.diff(shown, axis=0)).mean()

    assert change(True, 0.1) < 0.6 * change(False, 0.1)
    assert change(True, 1.0) == change(False, 1.0)  # what is long ago would be seen as a ghost


def test_a_search_goes_on_from_frame_to_frame_until_it_cannot():
    """A system that dresses live keeps its place while the same person wears the same garment, and then begins anew."""
    begun = []

    class Live(Moving):
        def dress_live(self, garments, frames):
            begun.append(float(garments[0].image.mean()))
            for user, pose in frames:
                yield next(iter(self.dress(iter([user]), garments, pose)))

    system, frame = Live(), people((30, 3, 40, 29))
    glass = mirror(RED, BLUE, system=system)
    for step, count in ((None, 1), (None, 1), ("2", 2), (None, 2), ("2", 2), ("m", 2), ("gone", 2), (None, 3)):
        if step and step != "gone":
            glass.key(step)
        glass.process(people() if step == "gone" else frame)
        assert len(begun) == count, step
    assert begun[0] != begun[1] == begun[2]


def test_a_single_frame_can_be_read_as_one_of_a_clip():
    """A photo is read at several sizes and mirrored; a live frame once."""
    asked = []

    class Pictures:
        def layouts(self, frames):
            asked.append(len(frames))
            return Layout(
                np.ones((len(frames), *SIZE), np.uint8), np.ones((len(frames), 18, 2)), np.ones((len(frames), 18))
            )

    reader = object.__new__(Reader)
    reader.pictures, reader.multi_path = Pictures(), types.SimpleNamespace(latent_size=4)
    reader.seen = lambda picture, thorough: pytest.fail("read as a photo")
    pose = reader.read_poses(people((8, 2, 20, 30))[None], thorough=False)
    assert asked == [1] and pose.usable.all() and len(pose.latent) == 1


# ---------------------------------------------------------------------------------------------------------- whole runs


@pytest.fixture
def ready(tmp_path):
    """Options for a run on a clip of somebody who walks out of the picture."""
    frames = [people((20 + 3 * index, 8, 44 + 3 * index, 88), size=(96, 128)) for index in range(8)]
    video_files.write_video(tmp_path / "walk.mp4", [*frames, *[people(size=(96, 128))] * 4], 8)
    for name, colour in (("red.png", RED), ("blue.png", BLUE)):
        photo_files.write_image(tmp_path / name, np.full((40, 30, 3), colour, np.uint8))

    def options(**changes):
        given = {"garment": str(tmp_path / "red.png"), "camera": str(tmp_path / "walk.mp4"), "display": "none"}
        return MirrorOptions(**(given | {"max_side": 128} | changes))

    return options


def test_a_run_records_what_it_shows(ready, tmp_path):
    said = []
    timing = job.run(ready(), tmp_path / "out" / "a.mp4", said.append, Moving())
    frames, _ = video_files.read_video(tmp_path / "out" / "a.mp4")
    assert timing.shown == len(frames) > 1 and timing.shown + timing.missed == 12
    assert "capture to display" in said[-1] and recording.comment_of(tmp_path / "out" / "a.mp4").startswith("generated")
    red = (np.abs(frames.astype(int) - RED).max(-1) < 40).sum((1, 2))
    assert frames.shape[1:3] == (96, 128) and red[0] > 500 and red[-1] == 0


def test_keys_of_a_window_reach_the_mirror(ready, tmp_path, monkeypatch):
    near = lambda frame, colour: (np.abs(frame.astype(int) - colour).max(-1) < 40).sum()  # noqa: E731

    class Keys(live.NoDisplay):
        shown = ()

        def show(self, frame):
            self.shown += (frame,)

        def key(self):
            if len(self.shown) == 1:
                return "2"
            return "q" if self.shown and near(self.shown[-1], BLUE) > 500 else ""

    display = Keys()
    monkeypatch.setattr(live_run.live, "open_display", lambda name, title: display)
    both = f"{tmp_path}/red.png,{tmp_path}/blue.png"
    timing = job.run(ready(garment=both), None, print, Moving())
    assert timing.shown + timing.missed < 12  # ended by the key
    assert near(display.shown[0], RED) > 500 > near(display.shown[0], BLUE)
    assert near(display.shown[-1], BLUE) > 500 > near(display.shown[-1], RED)


def test_a_slow_system_dresses_few_frames_and_all_are_shown(ready):
    class Slow(Moving):
        def dress(self, *given):
            time.sleep(0.2)
            return super().dress(*given)

    said = []
    timing = job.run(ready(), None, said.append, Slow())
    dressed = int(re.search(r"(\d+) of them dressed", said[-1])[1])
    assert timing.shown + timing.missed == 12 and 1 <= dressed < timing.shown
    assert np.median(timing.delays) < 0.2  # nobody waits for what is dressed beside


def test_garments_are_alternatives_however_they_are_named():
    assert job.garment_names("a.jpg,b.jpg") == job.garment_names(("a.jpg", "b.jpg")) == ("a.jpg", "b.jpg")
    assert job.garment_names(("a.jpg, b.jpg", "c.jpg")) == ("a.jpg", "b.jpg", "c.jpg")
    assert [name[-11:] for name in job.garment_names(None)] == ["garment.png"]


def test_what_cannot_be_is_one_sentence_and_leaves_nothing(ready, tmp_path):
    class Still(Moving):
        moving = False

    class Blind(Moving):
        def read_garment(self, frame, garment_type=None, flat=None):
            raise UserError("No garment was found.")

    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    (tmp_path / "broken.png").write_bytes(b"nothing")
    before = sorted(tmp_path.iterdir())
    for changes, system, why in (
        ({"camera": "97"}, None, "Camera 97 cannot be opened"),
        ({"camera": str(tmp_path / "no.mp4")}, None, "no.mp4"),
        ({"camera": str(tmp_path / "broken.mp4")}, None, "broken.mp4"),
        ({"camera": "camera:front"}, None, "camera:N"),
        ({"garment": str(tmp_path / "no.png")}, None, "no.png"),
        ({"garment": str(tmp_path / "broken.png")}, None, "broken.png"),
        ({"garment": "none"}, None, "garment=none would leave every frame"),
        ({"garment": ",".join("abcdefghij")}, None, "names 10 pictures"),
        ({}, Still(), "system=lab126 dresses photos"),
        ({}, Blind(), "No garment was found"),
    ):
        with pytest.raises(UserError, match=why) as error:
            job.run(ready(**changes), tmp_path / "a.mp4", print, system or Moving())
        assert "\n" not in str(error.value)
    with pytest.raises(WrongOption, match=r"should end in \.mp4"):
        job.run(ready(), tmp_path / "a.avi", print, Moving())
    assert sorted(tmp_path.iterdir()) == before
