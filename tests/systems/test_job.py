"""A job with a system of a few lines: what is read can be replaced, work can be watched and cancelled."""

import dataclasses

import numpy as np
import pytest
from PIL import Image
from reads_shades import ReadsShades

from vton_jax import TryOnJob
from vton_jax.command_line import mends
from vton_jax.compositing import normalisation
from vton_jax.core import segmentation
from vton_jax.core.errors import Cancelled, GarmentsExclude, NoGarmentFound, NoPersonFound, UserError, WrongOption
from vton_jax.core.types import Dressed, Garment, Layout, Pose, Result, Target, User
from vton_jax.media import photo_files, video_files
from vton_jax.reading.descriptions import Description, Worn
from vton_jax.systems import garments as garments_lib
from vton_jax.systems import pictures
from vton_jax.systems.options import JobOptions

SIZE = (32, 24)


def layout_of(frame):
    labels = np.where(np.asarray(frame).mean(-1) < 100, segmentation.ID["upper-clothes"], 0).astype(np.uint8)
    return Layout(labels, np.full((18, 2), 10.0, np.float32), np.ones(18, bool))


class ToySystem(ReadsShades):
    """Paints everybody in the garment's mean colour."""

    size, layout_of = SIZE, staticmethod(layout_of)

    def __init__(self):
        self.reader, self.dressed = self, []

    def read_user(self, frame, shown=None):
        return User(frame.astype(np.float32) / 255, layout_of(frame), np.zeros(2), shown)

    def read_garment(self, frame, garment_type=None, flat=None):
        kind = segmentation.GARMENT_TYPES.index(garment_type or "upper")
        return Garment(frame.astype(np.float32) / 255, layout_of(frame), np.int32(kind), np.bool_(bool(flat)))

    def read_poses(self, frames):
        return Pose(*self.read_layouts(frames))

    def dress(self, user, garments, poses):
        self.dressed.append(garments)
        colour = np.zeros(3) if not garments else garments[0].image.mean((0, 1))
        for labels in poses.layout.segmentation:
            image, empty = np.broadcast_to(np.float32(colour), (*SIZE, 3)), np.zeros(SIZE, np.float32)
            flow = np.zeros((*SIZE, 2), np.float32)
            yield Result(
                Dressed(image, labels, flow, empty, empty, flow, empty), Target(labels, labels, np.ones(1), {})
            )


@pytest.fixture
def files(tmp_path):
    person = np.full((*SIZE, 3), 255, np.uint8)
    person[4:28, 8:16] = 20
    photo_files.write_image(tmp_path / "me.png", person)
    photo_files.write_image(tmp_path / "shirt.png", np.full((*SIZE, 3), [0, 90, 200], np.uint8))
    video_files.write_video(tmp_path / "walk.mp4", [np.roll(person, shift, 1) for shift in range(5)], 10)
    names = {"person": "me.png", "garment": "shirt.png", "pose": "walk.mp4"}
    return {name: str(tmp_path / file) for name, file in names.items()} | {"framing": "pose"}


def test_from_paths_to_a_clip(files, tmp_path):
    seen = []
    job = TryOnJob(**files, system=ToySystem(), progress=lambda *step: seen.append(step))
    written = job.write(tmp_path / "out" / "clip.mp4")
    frames, rate = video_files.read_frames(tmp_path / "out" / "clip.mp4")
    assert written.num_frames == len(frames) == 5 and rate == 10
    assert np.abs(frames[0].reshape(-1, 3).mean(0) - [0, 90, 200]).max() < 12
    assert photo_files.read_photo(tmp_path / "out" / "clip.png").size > 0
    assert [step for step in seen if step[0] == "try-on"] == [("try-on", done, 5) for done in range(6)]
    assert seen[0] == ("reading", 0, 3) and seen[-1] == ("writing", 5, 5)


def test_a_reading_can_be_looked_at_and_replaced(files, tmp_path):
    job = TryOnJob(**files, garment_type="lower", system=ToySystem())
    reading = job.read()
    assert segmentation.GARMENT_TYPES[int(reading.garments[0].garment_type)] == "lower"
    assert reading.user.shown.all() and len(reading.pose_frames) == 5
    assert reading.framing.person == reading.framing.garment(0).place == normalisation.Normalisation()
    assert any("exchanging 'lower'; 5 frames" in note for note in reading.notes)
    red = reading.garments[0].replace(image=np.broadcast_to(np.float32([1, 0, 0]), (*SIZE, 3)))
    written = job.write(tmp_path / "clip.mp4", dataclasses.replace(reading, garments=(red,)))
    np.testing.assert_array_equal(written.results[0].image[0, 0], [1, 0, 0])


def test_no_garment_means_the_persons_own_clothes(files, tmp_path):
    system = ToySystem()
    job = TryOnJob(**(files | {"garment": "none"}), system=system)
    reading = job.read()
    own = reading.shown_garment
    assert reading.garments == () and segmentation.GARMENT_TYPES[int(own.garment_type)] == "outfit"
    worn = np.asarray(reading.user.layout.segmentation) > 0
    np.testing.assert_array_equal(own.image[worn], reading.user.image[worn])
    assert (own.image[~worn] == 1).all()
    job.write(tmp_path / "clip.mp4", reading)
    assert system.dressed == [()]
    naked = reading.user.replace(layout=layout_of(np.full((*SIZE, 3), 255)))
    with pytest.raises(NoGarmentFound, match="in the photo"):
        _ = dataclasses.replace(reading, user=naked).shown_garment


def test_several_garments_are_worn_each_of_its_own_type(files, tmp_path):
    """What lies flat says its type; what somebody wears is the half that is left, and the first upper one of two."""

    class Looking(ToySystem):
        def looks_flat(self, frame):
            return frame[..., 0].mean() > 100  # red lies flat

        def read_garment(self, frame, garment_type=None, flat=None):
            kind = garment_type or ("lower" if frame[..., 1].mean() > 100 else "upper")
            return super().read_garment(frame, kind, flat)

    def picture(name, colour):
        photo_files.write_image(tmp_path / name, np.full((*SIZE, 3), colour, np.uint8))
        return str(tmp_path / name)

    trousers, shirt = picture("trousers.png", [250, 200, 0]), picture("top.png", [250, 0, 0])
    somebody, other = picture("somebody.png", [0, 0, 250]), picture("other.png", [0, 0, 200])
    for given, kinds in (
        ((trousers, shirt), ["lower", "upper"]),  # as they are given
        ((shirt, somebody), ["upper", "lower"]),
        ((somebody, trousers), ["upper", "lower"]),
        ((somebody, other), ["upper", "lower"]),
    ):
        system = Looking()
        job = TryOnJob(**(files | {"garment": given}), system=system)
        reading = job.read()
        assert [segmentation.GARMENT_TYPES[int(one.garment_type)] for one in reading.garments] == kinds
        assert [bool(one.flat) for one in reading.garments] == [name in (trousers, shirt) for name in given]
        assert len(reading.views.garments) == 2 and sum("exchanging" in note for note in reading.notes) == 2
    for given, options, why in (
        ((shirt, shirt), {}, "2 garments of type 'upper' are not worn at once; give one of a type"),
        ((shirt, "none"), {}, "garment=none is the person's own clothes"),
        ((shirt, trousers), {"garment_type": "upper"}, "garment_type=upper is the type of a single garment"),
        ((shirt, trousers, somebody), {}, "garments|type"),
        (shirt, {"tuck": "in"}, "tuck=in is not known to the system"),
    ):
        with pytest.raises(UserError, match=why):
            TryOnJob(**(files | {"garment": given} | options), system=Looking()).read()


def test_a_dress_is_worn_alone():
    empty = Layout(np.zeros(SIZE, np.uint8), None, None)
    of = lambda kind: Garment(None, empty, np.int32(segmentation.GARMENT_TYPES.index(kind)), None)  # noqa: E731
    for kind in ("dress", "outfit"):
        with pytest.raises(GarmentsExclude, match=f"of type '{kind}' is worn alone"):
            garments_lib.worn_together([of("upper"), of(kind)])
    lower, upper = of("lower"), of("upper")
    assert garments_lib.worn_together([lower, upper]) == (upper, lower) and garments_lib.worn_together([]) == ()


def test_how_it_is_tucked_goes_with_the_garment(files):
    class Tucking(ToySystem):
        tucks = True

    for tuck, index in (("auto", None), ("in", 1), ("over", 2)):
        assert TryOnJob(**files, tuck=tuck, system=Tucking()).read().garments[0].tuck == index


class MovingSystem(ToySystem):
    """Paints what is dark in every frame's own photo."""

    moving = True

    def read_poses(self, frames):
        layouts, latents = self.read_layouts(frames)
        return Pose(layouts, latents, usable=(layouts.segmentation > 0).any((1, 2)))

    def dress(self, user, garments, poses):
        self.users = list(user)
        for result, one in zip(super().dress(None, garments, poses), self.users, strict=True):
            worn = np.asarray(one.layout.segmentation) > 0
            image = np.where(worn[..., None], result.image, one.image)
            kept, target = (~worn).astype(np.float32), dataclasses.replace(result.target, steps={"start": worn})
            yield Result(result.dressed.replace(image=image, photo_weight=kept), target)


LARGE = (96, 80)


@pytest.fixture
def clip(tmp_path):
    """Somebody who walks before a wall of two colours, out of the picture in the fourth frame."""
    frames = np.full((6, *LARGE, 3), [230, 200, 180], np.uint8)
    frames[:, :, 40:] = [180, 210, 240]
    for index, frame in enumerate(frames):
        frame[20:80, 10 + 6 * index : 26 + 6 * index] = [20, 30, 40] if index != 3 else frame[0, 0]
    video_files.write_video(tmp_path / "dance.mp4", frames, 12)
    return tmp_path / "dance.mp4", frames


def test_a_clip_of_the_person_is_dressed_frame_by_frame(files, clip, tmp_path, monkeypatch):
    path, frames = clip
    in_memory = []
    decode = video_files.open_frames
    monkeypatch.setattr(video_files, "open_frames", lambda *given: (in_memory.append(given[2:]), decode(*given))[1])
    given = files | {"person": str(path), "pose": None}
    system = MovingSystem()
    job = TryOnJob(**given, system=system, temporal_filter="none")
    reading = job.read()
    assert len(reading.clip.frames) == 6 and any("1 of the 6 frames, which stay" in note for note in reading.notes)
    written = job.write(tmp_path / "out.mp4", reading)
    # At its own size the clip is only ever decoded frame by frame: what is read at once is smaller.
    assert {limits for limits in in_memory if limits} == {(pictures.READ_SIDE,)}
    shown, rate = video_files.read_frames(tmp_path / "out.mp4")
    assert rate == 12 and shown.shape == frames.shape and written.num_frames == 6
    assert all(one.backdrop for one in system.users) and not written.results[0].target.steps
    frames, _ = video_files.read_frames(path)  # as they are coded
    for index, (was, now) in enumerate(zip(frames, shown.astype(float), strict=True)):
        person = now[30:70, 14 + 6 * index : 22 + 6 * index].reshape(-1, 3).mean(0)
        colour = [0, 90, 200] if index != 3 else was[50, 10 + 6 * index]
        assert np.abs(person - colour).max() < 14, index
        away = np.ones(LARGE, bool)
        away[14:86, max(0, 4 + 6 * index) : 32 + 6 * index] = False
        assert np.abs(now - was)[away].mean() < 3  # the wall is each frame's own
    job = TryOnJob(**given, system=MovingSystem(), num_frames=2, output_size="48x40")
    job.write(tmp_path / "small.mp4")
    assert video_files.read_frames(tmp_path / "small.mp4")[0].shape == (2, 48, 40, 3)


def test_a_clip_of_the_person_that_cannot_be(files, clip):
    path, _ = clip
    given = files | {"person": str(path), "pose": None}
    for options, system, why in (
        ({"pose": files["pose"]}, MovingSystem(), "goes with a photo of the person: dance.mp4 is a clip"),
        ({"garment": "none"}, MovingSystem(), "garment=none would leave the clip dance.mp4 as it is"),
        ({}, ToySystem(), "dance.mp4 is a clip, and the system lab126 dresses photos"),
    ):
        with pytest.raises(WrongOption, match=why):
            TryOnJob(**(given | options), system=system).read()
    nobody = path.with_name("wall.mp4")
    video_files.write_video(nobody, [np.full((*LARGE, 3), 200, np.uint8)] * 3, 10)

    class Blind(MovingSystem):
        def read_poses(self, frames):
            raise NoPersonFound("the pose clip")

    with pytest.raises(NoPersonFound, match="No person was found in the person's clip"):
        TryOnJob(**(given | {"person": str(nobody)}), system=Blind()).read()
    broken = path.with_name("broken.mp4")
    broken.write_bytes(path.read_bytes()[:600])
    with pytest.raises(UserError, match=r"broken.mp4 is not a clip|broken.mp4 is damaged"):
        TryOnJob(**(given | {"person": str(broken)}), system=MovingSystem()).read()


def test_a_pictures_own_alpha_is_its_mask(files, tmp_path):
    """The person keeps the outline, and the garment's mask goes to the system; without alpha nobody hears of one."""
    given = []

    class Masked(ToySystem):
        def read_garment(self, frame, garment_type=None, flat=None, mask=None):
            given.append(mask)
            return super().read_garment(frame, garment_type, flat)

    mask = np.zeros(SIZE, bool)
    mask[6:30, 4:14] = True
    for name in ("me", "shirt"):
        pixels = np.full((*SIZE, 3), 20 if name == "me" else 250, np.uint8)
        Image.fromarray(np.dstack([pixels, np.uint8(255 * mask)])).save(tmp_path / f"{name}_cut.png")
    cut = {"person": str(tmp_path / "me_cut.png"), "garment": str(tmp_path / "shirt_cut.png")}
    reading = TryOnJob(**(files | cut), system=Masked()).read()
    np.testing.assert_array_equal(np.asarray(reading.user.layout.segmentation) > 0, mask)
    np.testing.assert_array_equal(given.pop(), mask)
    TryOnJob(**files, system=Masked()).read()
    assert given == [None]
    TryOnJob(**files, system=ToySystem()).read()


def test_nothing_beside_a_garments_picture_is_garment(files, tmp_path):
    """A wide picture of cloth alone: the frame goes on with its colour above and below, the garment does not."""
    cloth = np.full((16, 24, 3), 20, np.uint8)
    photo_files.write_image(tmp_path / "cloth.png", cloth)
    (garment,) = TryOnJob(**(files | {"garment": str(tmp_path / "cloth.png")}), system=ToySystem()).read().garments
    own = np.zeros(SIZE, bool)
    own[8:24] = True
    np.testing.assert_array_equal(np.asarray(garment.layout.segmentation) > 0, own)
    assert (np.asarray(garment.image)[~own] == 1).all() and (np.asarray(garment.image)[own] < 0.5).all()


def test_what_pictures_are_taken_for_is_said_with_what_overrules_it(files):
    class Telling(ToySystem):
        def describe(self, picture, mask=None):
            if picture.mean() > 150:
                return Description("person", 0.97, "outfit", (Worn("upper"),), facing="front", framing="hips")
            return Description("garment", 0.55, "dress", framing="whole")

    person, garment = TryOnJob(**files, system=Telling()).read().said
    assert (person.file, person.part, garment.file, garment.part) == ("me.png", "person", "shirt.png", "garment")
    assert mends.said(person) == "me.png: person in upper, seen from the front, to the hips, confidence 0.97"
    assert mends.said(garment) == (
        "shirt.png: garment, dress, whole, confidence 0.55, unsure; --garment_is and --garment_type overrule it"
    )
    assert TryOnJob(**files, system=ToySystem()).read().said == ()


def test_a_cancelled_job_ends_and_leaves_nothing(files, tmp_path):
    def stop(stage, done, total):
        if (stage, done) == ("try-on", 2):
            job.cancel()

    job = TryOnJob(**files, system=ToySystem(), progress=stop)
    with pytest.raises(Cancelled):
        job.write(tmp_path / "out" / "clip.mp4")
    assert not list((tmp_path / "out").iterdir())


def test_what_cannot_be_is_said_before_long_work(files, tmp_path):
    class NeverAsked:
        pass

    def job(**changes):
        return TryOnJob(**(files | changes), system=NeverAsked())

    with pytest.raises(WrongOption, match=r"output=.*should end in .mp4"):
        job().write(tmp_path / "clip.avi")
    with pytest.raises(WrongOption, match="output_size=large is not understood"):
        job(output_size="large").write(tmp_path / "clip.mp4")
    with pytest.raises(UserError, match=r"nobody.png"):
        job(person=str(tmp_path / "nobody.png")).write(tmp_path / "clip.mp4")
    with pytest.raises(UserError, match=r"system best is unknown; known are lab126"):
        _ = TryOnJob(JobOptions(system="best")).system
    assert not list(tmp_path.glob("clip*"))


def test_auto_is_what_photos_want(files):
    for made in (TryOnJob(**(files | {"framing": "auto"})), TryOnJob()):
        assert (made.options.remap, made.options.framing) == ("post", "photo")
    assert TryOnJob(person="me.png", remap="pre").options.remap == "pre"


@pytest.mark.parametrize(("rate", "painted_rate", "every"), [(10, 10, 1), (20, 10, 2), (29.97, 10, 3), (30, 0, 1)])
def test_few_frames_a_second_are_painted_and_all_are_written(files, tmp_path, rate, painted_rate, every):
    frame = photo_files.read_photo(files["person"])
    video_files.write_video(tmp_path / "walk.mp4", [np.roll(frame, shift // 2, 1) for shift in range(8)], rate)
    system = ToySystem()
    job = TryOnJob(**files, system=system, painted_rate=painted_rate)
    reading = job.read()
    assert (reading.every, reading.num_frames, len(reading.pose_frames)) == (every, 8, -(-8 // every))
    assert any("8 frames" in note for note in reading.notes)
    written = job.write(tmp_path / "out.mp4", reading)
    frames, out_rate = video_files.read_frames(tmp_path / "out.mp4")
    assert written.num_frames == len(frames) == 8 and float(out_rate) == pytest.approx(rate, abs=0.01)
    assert set(written.results) <= set(range(len(reading.pose_frames)))


@pytest.mark.parametrize("name", ["me.png", "me.jpg"])
def test_a_single_pose_makes_a_picture(files, tmp_path, name):
    written = TryOnJob(**(files | {"pose": files["person"]}), system=ToySystem()).write(tmp_path / "out" / name)
    picture = photo_files.read_photo(tmp_path / "out" / name)
    assert picture.shape == (*SIZE, 3) and np.abs(picture.reshape(-1, 3).mean(0) - [0, 90, 200]).max() < 12
    assert written.num_frames == 1 and written.sheet == tmp_path / "out" / "me_sheet.png"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {name, "me_sheet.png"}


def test_many_poses_make_no_picture(files, tmp_path):
    with pytest.raises(WrongOption, match=r"is a picture, and there are 5 frames to show: name a clip"):
        TryOnJob(**files, system=ToySystem()).write(tmp_path / "out" / "me.png")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("name", ["me.png", "me.mp4", "walk.mp4"])
def test_what_a_clip_is_made_from_is_not_overwritten(files, tmp_path, name):
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(UserError, match=r"(me\.png|walk\.mp4) would be overwritten"):
        TryOnJob(**files, system=ToySystem()).write(tmp_path / name)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_frames_of_a_long_pose_clip_are_smaller(files, tmp_path, monkeypatch):
    frame = np.zeros((64, 48, 3), np.uint8)
    video_files.write_video(tmp_path / "long.mp4", [frame] * 40, 20)
    monkeypatch.setattr(pictures, "_POSE_BYTES", 20 * 32 * 24 * 3)
    monkeypatch.setattr(pictures, "_LEAST_SIDE", 8)
    options = JobOptions(**(files | {"pose": str(tmp_path / "long.mp4")}), num_frames=40)
    found = pictures.read(options)
    assert found.every == 2 and found.count == 40 and {one.shape for one in found.poses} == {(32, 24, 3)}
    assert pictures.read(dataclasses.replace(options, num_frames=8)).poses[0].shape == frame.shape


def test_a_picture_is_as_large_as_the_photo_unless_asked(files, tmp_path):
    large = np.repeat(np.repeat(photo_files.read_photo(files["person"]), 3, 0), 3, 1)
    photo_files.write_image(tmp_path / "large.png", large)
    given = files | {"person": str(tmp_path / "large.png"), "pose": str(tmp_path / "large.png")}
    for name, options, size in (
        ("a.png", {}, large.shape[:2]),
        ("b.jpg", {"output_size": "64x48"}, (64, 48)),
        ("c.mp4", {}, SIZE),
    ):
        TryOnJob(**given, **options, system=ToySystem()).write(tmp_path / name)
        made, _ = video_files.read_frames(tmp_path / name)
        assert made.shape[1:3] == size, name
