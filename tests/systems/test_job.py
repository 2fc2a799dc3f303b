"""A job with a system of a few lines: what is read can be replaced, work can be watched and cancelled."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from vton_jax import TryOnJob
from vton_jax.command_line import mends
from vton_jax.compositing import normalisation
from vton_jax.core import segmentation
from vton_jax.core.errors import Cancelled, NoGarmentFound, UserError, WrongOption
from vton_jax.core.types import Dressed, Garment, Layout, Pose, Result, Target, User
from vton_jax.media import photo_files, video_files
from vton_jax.reading.descriptions import Description, Worn
from vton_jax.systems.options import JobOptions

SIZE = (32, 24)


def layout_of(frame):
    labels = np.where(np.asarray(frame).mean(-1) < 100, segmentation.ID["upper-clothes"], 0).astype(np.uint8)
    return Layout(labels, np.full((18, 2), 10.0, np.float32), np.ones(18, bool))


class ToySystem:
    """Paints everybody in the garment's mean colour."""

    size = SIZE

    def __init__(self):
        self.reader, self.dressed = self, []

    def read_layouts(self, frames):
        layouts = [layout_of(frame) for frame in frames]
        parts = ([getattr(one, name) for one in layouts] for name in ("segmentation", "keypoints", "visible"))
        return Layout(*map(np.stack, parts)), np.zeros((len(frames), 2))

    read_people = read_layouts

    def stand_of(self, picture):
        return None

    def looks_flat(self, frame):
        return True

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
    results = job.write(tmp_path / "out" / "clip.mp4")
    frames, rate = video_files.read_frames(tmp_path / "out" / "clip.mp4")
    assert len(results) == len(frames) == 5 and rate == 10
    assert np.abs(frames[0].reshape(-1, 3).mean(0) - [0, 90, 200]).max() < 12
    assert photo_files.read_photo(tmp_path / "out" / "clip.png").size > 0
    assert [step for step in seen if step[0] == "try-on"] == [("try-on", done, 5) for done in range(6)]
    assert seen[0] == ("reading", 0, 3) and seen[-1] == ("writing", 5, 5)


def test_a_reading_can_be_looked_at_and_replaced(files, tmp_path):
    job = TryOnJob(**files, garment_type="lower", system=ToySystem())
    reading = job.read()
    assert segmentation.GARMENT_TYPES[int(reading.garments[0].garment_type)] == "lower"
    assert reading.user.shown.all() and len(reading.pose_frames) == 5 and reading.framing == normalisation.Framing()
    assert any("exchanging 'lower'; 5 frames" in note for note in reading.notes)
    red = reading.garments[0].replace(image=np.broadcast_to(np.float32([1, 0, 0]), (*SIZE, 3)))
    results = job.write(tmp_path / "clip.mp4", dataclasses.replace(reading, garments=(red,)))
    np.testing.assert_array_equal(results[0].image[0, 0], [1, 0, 0])


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
