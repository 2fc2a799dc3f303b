"""The suites `ubc` and `pairs`, and comparing evaluations. Clips and pairs show the packaged sample."""

import types
from pathlib import Path

import numpy as np
import pytest
import tiny_lpips

from vton_jax import systems
from vton_jax.core import framing, keypoints, segmentation
from vton_jax.core.errors import UserError
from vton_jax.core.types import Garment, Layout, Pose, Target, User
from vton_jax.evaluate import dressing, pairs_suite, perceptual, reenactment, report, ubc_suite
from vton_jax.evaluate.dressing import Compared
from vton_jax.evaluate.pairs_suite import PairsSuite
from vton_jax.evaluate.ubc_suite import UbcSuite
from vton_jax.media import photo_files, video_files
from vton_jax.models import lpips_weights
from vton_jax.systems.lab126.system import Lab126

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "vton_jax" / "samples"
SIZE = (64, 48)
OPEN_DISTANCES = perceptual.open_distances  # of LPIPS, where a fixture puts another in its place
SHIFT = 0.02  # of the height, by which the tiny system misplaces every joint


def body(count: int) -> tuple[np.ndarray, np.ndarray]:
    """DWPose's form: joints [T, 18, 2] relative to the frame, a person who walks to the right; one joint unseen."""
    points = np.stack([np.linspace(0.3, 0.6, 18), np.linspace(0.1, 0.9, 18)], -1)[None].repeat(count, 0)
    points[..., 0] += np.linspace(0, 0.2, count)[:, None]
    valid = np.ones((count, 18), bool)
    valid[:, keypoints.ID["left-ear"]] = False
    return points.astype(np.float32), valid


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A folder with the clip of the packaged sample, 41 frames, and its keypoints."""
    folder = tmp_path_factory.mktemp("ubc")
    frames, rate = video_files.read_video(SAMPLES / "pose.mp4", 41)
    if len(frames) < 41:
        frames = np.concatenate([frames, frames[::-1]])[:41]
    video_files.write_video(folder / "walk.mp4", frames, rate)
    points, valid = body(41)
    np.savez(folder / "walk_dwpose.npz", body=points, valid=valid)
    return folder


class Tiny:
    """Stands in for lab126: sees the true joints a little off, and returns the user's photo whatever the pose."""

    size = SIZE
    layouts = painter = property(lambda self: self)

    def __init__(self, options):
        self.arm = options.remap

    def people(self, count, offset=0.0):
        points, _ = body(41)
        points = points[:count] * (SIZE[1], SIZE[0]) - 0.5
        height = keypoints.person_height(points, np.ones((count, 18), bool))
        points[..., 1] += (offset * height)[:, None]
        labels = np.zeros((count, *SIZE), np.uint8)
        labels[:, 10:50, 10:30] = segmentation.ID["dress"]
        return Layout(labels, points, np.ones((count, 18), bool))

    def read_user(self, frame):
        layout = self.people(1)
        layout = Layout(layout.segmentation[0], layout.keypoints[0], layout.visible[0])
        return User(frame.astype(np.float32) / 255, layout, np.zeros(2), np.ones(SIZE, bool))

    def read_garment(self, frame, garment_type=None, flat=None):
        user = self.read_user(frame)
        return Garment(user.image, user.layout, np.int32(2), np.bool_(bool(flat)))

    def read_poses(self, frames):
        # Every joint is off by 2% of the height wherever the person is: joints move in x alone over time.
        count = len(frames)
        self.seen = frames
        return Pose(self.people(count, SHIFT), np.zeros((count, 2)))

    def targets(self, user, garment, poses):
        for labels in poses.layout.segmentation:
            yield Target(labels, labels, np.ones(3), {})

    def paint(self, user, garment, targets):
        for labels in targets.segmentation:
            yield types.SimpleNamespace(image=user.image, labels=labels, photo_weight=np.ones(labels.shape))


@pytest.fixture
def tiny(monkeypatch):
    """The suites with Tiny, a parser that sees a garment in the middle, and a distance that is simple to know."""

    class Parser:
        name = "middle"

        def __init__(self, path=None):
            pass

        def parse(self, frames):
            labels = np.zeros(frames.shape[:3], np.uint8)
            labels[:, 20:44, 14:34] = segmentation.ID["dress"]
            return labels, np.ones(len(frames))

    class Distances:
        protocol = property(lambda self: {"lpips": "mean difference", "lpips_vgg": "the same"})

        def __call__(self, images, truth):
            difference = np.abs(images - truth).mean((1, 2, 3))
            return {"lpips": difference, "lpips_vgg": difference}

    monkeypatch.setitem(systems.SYSTEMS, "lab126", Tiny)
    monkeypatch.setattr(perceptual, "open_distances", lambda asked: Distances())
    monkeypatch.setattr(dressing, "PictureReader", Parser)


def ubc(clips, run, arms, **options):
    """The suite, and what it yields."""
    suite = UbcSuite(UbcSuite.Options(data=str(clips), stride=8, num_clip_frames=run, **options), arms)
    return suite, dict(suite.run())


def pairs(people, arms, **options):
    suite = PairsSuite(PairsSuite.Options(data=str(people), **options), arms)
    return suite, dict(suite.run())


def test_a_clip_is_parted_into_user_donor_and_poses(clips):
    (clip,) = reenactment.read_clips(clips, SIZE, stride=5, run=6)
    assert clip.donor == 10 and clip.poses.tolist() == [5, 15, 20, 25, 30, 35, 40]
    assert clip.run.tolist() == list(range(17, 23)) and clip.frames.shape == (41, *SIZE, 3)
    every = reenactment.read_clips(clips, SIZE, stride=1, run=0)[0].poses
    assert every.tolist() == [i for i in range(1, 41) if i != 10]


def test_dwpose_lies_where_the_person_is(clips):
    """What is relative to the frame becomes pixels of the fitted one: 0.5 is the middle, whatever the padding."""
    (clip,) = reenactment.read_clips(clips, (64, 96), stride=8, run=0)
    points, valid = body(41)
    nose = clip.true_keypoints[0, 0]
    np.testing.assert_allclose(nose, (24 + points[0, 0, 0] * 48 - 0.5, points[0, 0, 1] * 64 - 0.5), atol=0.6)
    np.testing.assert_array_equal(clip.true_visible, valid)


def test_the_first_frame_unchanged_scores_as_the_baseline(tiny, clips):
    suite, results = ubc(clips, run=4, arms=("none", "joint"))
    texts, curves = suite.texts, suite.curves
    assert results["num_frames"] == 5
    for score in ubc_suite.SCORES:
        assert results[f"ubc.joint.{score}"] == pytest.approx(results[f"ubc.first_frame.{score}"])
    assert results["ubc.first_frame.ssim"] < 0.999
    assert results["ubc.joint.flicker"] == pytest.approx(0, abs=1e-6)
    assert results["ubc.truth.flicker"] > 1e-4
    assert [frame for frame, _ in curves["walk"]["joint"]] == [8, 16, 24, 32, 40]
    mean = np.mean([value for _, value in curves["walk"]["joint"]])
    assert mean == pytest.approx(results["ubc.joint.ssim"])
    assert texts["protocol"]["split_hash"] and "every 8th" in texts["protocol"]["frames"]


def test_the_keypoint_error_is_relative_to_the_height():
    points, valid = body(7)
    points = points * 100
    height = keypoints.person_height(points, valid)
    moved = points + np.stack([np.zeros(7), SHIFT * height], -1)[:, None]
    moved[:, 3] += 50  # a joint that one of them does not see counts for nothing
    seen = np.ones((7, 18), bool)
    seen[:, 3] = False
    errors = reenactment.keypoint_errors(moved, seen, points, valid)
    assert errors.shape == (7 * 16,)
    np.testing.assert_allclose(errors, SHIFT, rtol=1e-4)


def test_the_report_holds_curves_and_protocol(tiny, clips, tmp_path):
    suite, results = ubc(clips, run=0, arms=("joint",))
    report.write(tmp_path, suite, results)
    text = (tmp_path / "report.html").read_text()
    assert "<polyline" in text and suite.texts["protocol"]["split_hash"] in text and "ubc.joint.ssim" in text


@pytest.fixture(scope="module")
def system():
    return Lab126("none")


def test_only_layout_and_keypoints_leave_a_pose_frame(system, clips):
    """Colours shuffled after the frames are annotated change no bit of the result."""
    pictures = []
    for shuffle in (False, True):
        (clip,) = reenactment.read_clips(clips, system.size, stride=30, run=0)

        class Shuffling:
            """The system, but the pose frames' colours are shuffled once they have been read."""

            def __getattr__(self, name):
                return getattr(system, name)

            def read_poses(self, frames, clip=clip, shuffle=shuffle):
                found = system.read_poses(frames)
                if shuffle:
                    frames[:] = np.random.default_rng(0).permutation(frames.reshape(-1)).reshape(frames.shape)
                    clip.frames[clip.poses] = frames
                return found

        wrapped = Shuffling()
        made = reenactment.reenact(Compared({"none": wrapped}), clip, clip.poses, "inpaint")
        pictures.append(made.images["none"])
    assert pictures[0].shape == (1, *system.size, 3)
    np.testing.assert_array_equal(pictures[0], pictures[1])


def test_pictures_of_any_size_are_compared_at_one(tmp_path):
    distances = perceptual.open_distances(str(tiny_lpips.write_folder(tmp_path)))
    generator = np.random.default_rng(0)
    images, truth = generator.random((2, 5, 64, 48, 3), np.float32)
    images[3] = truth[3]
    found = distances(images, truth)
    assert found.keys() == {"lpips", "lpips_vgg"} == distances.protocol.keys()
    assert all("256x192" in text for text in distances.protocol.values())
    large = [np.stack([framing.resize(image, perceptual.SIZE) for image in part]) for part in (images, truth)]
    for name, values in distances(*large).items():
        assert values.shape == (5,) and values[3] == 0 and (np.delete(values, 3) > 0).all()
        np.testing.assert_allclose(found[name], values, rtol=1e-6)
    alone = perceptual.open_distances(str(tmp_path / "lpips_alexnet.safetensors"))
    assert alone(images[:1], truth[:1]).keys() == {"lpips"}


def test_without_weights_one_line_says_so_and_keys_are_absent(tiny, people, monkeypatch, capsys):
    monkeypatch.setattr(perceptual, "open_distances", OPEN_DISTANCES)
    monkeypatch.setattr(lpips_weights, "PACKAGE", "lpips_package_that_is_not_there")
    monkeypatch.delenv("VTON_JAX_PERCEPTUAL", raising=False)
    for asked, lines in (("auto", 1), ("none", 0)):
        suite, results = pairs(people, arms=("none",), perceptual=asked)
        assert "pairs.none.ssim" in results
        assert not any("lpips" in name for name in (*results, *suite.texts["protocol"], *suite.sections(results)))
        said = [line for line in capsys.readouterr().err.splitlines() if "LPIPS" in line]
        assert len(said) == lines and all("VTON_JAX_PERCEPTUAL" in line and "[perceptual]" in line for line in said)


# --- pairs -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def people(tmp_path):
    for folder in ("person", "garment"):
        (tmp_path / folder).mkdir()
    person, garment = (photo_files.read_photo(SAMPLES / f"{name}.png") for name in ("person", "garment"))
    for name in ("a.png", "7_0.png", "alone.png"):
        photo_files.write_image(tmp_path / "person" / name, person)
    for name in ("a.png", "7_1.png", "other.png"):
        photo_files.write_image(tmp_path / "garment" / name, garment)
    return tmp_path


def test_pairs_are_found_by_name_or_listed(people):
    names = lambda found: [(person.name, garment.name) for person, garment in found]  # noqa: E731
    assert names(pairs_suite.find_pairs(people)) == [("7_0.png", "7_1.png"), ("a.png", "a.png")]
    listed = people / "pairs.txt"
    listed.write_text("alone.png other.png\n\n")
    assert names(pairs_suite.find_pairs(people, listed)) == [("alone.png", "other.png")]
    for text, said in (("alone.png nothing.png", "nothing.png"), ("alone.png", "should name"), ("", "no pair")):
        listed.write_text(text)
        with pytest.raises(UserError, match=said):
            pairs_suite.find_pairs(people, listed)
    listed.write_bytes(b"\xef\xbb\xbfalone.png other.png\r\n")
    assert names(pairs_suite.find_pairs(people, listed)) == [("alone.png", "other.png")]
    for folder in ("person", "garment"):  # as macOS leaves them on a stick
        (people / folder / "._a.png").write_bytes(b"Mac OS X")
    assert names(pairs_suite.find_pairs(people)) == [("7_0.png", "7_1.png"), ("a.png", "a.png")]
    with pytest.raises(UserError, match="holds no people and garments"):
        pairs_suite.find_pairs(people / "person")


def test_the_worn_garment_is_hidden_before_the_networks_see_it(tiny, people, monkeypatch):
    shown = []
    paint = Tiny.paint

    def watched(self, user, *rest):
        shown.append(user.image)
        grey = (user.image == 0.5).all(-1)
        labels = user.layout.segmentation
        assert segmentation.region(labels, segmentation.GARMENTS)[grey].all()  # not kept, not background
        return paint(self, user, *rest)

    monkeypatch.setattr(Tiny, "paint", watched)
    suite, results = pairs(people, arms=("none",))
    texts = suite.texts
    assert len(shown) == 2 == results["num_pairs"]
    for image in shown:
        assert (image[10:50, 10:34] == 0.5).all()  # Tiny's reading, and the parser's
    # Tiny returns what it is shown: the user under grey, a baseline of its own.
    assert results["pairs.none.ssim"] == pytest.approx(results["pairs.hidden.ssim"])
    assert results["pairs.none.ssim_garment"] < 0.5
    assert texts["protocol"]["split_hash"]


# --- comparing -------------------------------------------------------------------------------------------------------


def test_other_protocols_do_not_compare():
    here = {"ubc.joint.ssim": 0.9, "seconds": 3.0, "ubc.protocol.size": "256x192", "ubc.about.weights": "b"}
    said = report.comparison(here, here | {"ubc.joint.ssim": 0.85, "ubc.about.weights": "a"}, "old")
    assert "0.8500 -> 0.9000  +0.0500" in said and "seconds" not in said
    for other, what in (
        (here | {"ubc.protocol.size": "512x384"}, "512x384"),
        ({"ubc.joint.ssim": 0.85}, "'nothing'"),
        (here | {"ubc.protocol.split_hash": "123"}, "split_hash"),
    ):
        with pytest.raises(UserError, match=what):
            report.comparison(here, other, "old")
    with pytest.raises(UserError, match="states no protocol"):
        report.comparison({"a": 0.5}, {"a": 0.5}, "old")


def test_what_cannot_be_read_dies_in_a_sentence_before_the_networks_load(command, capsys, tmp_path):
    for arguments in (["--suite=ubc"], ["--suite=pairs", f"--data={tmp_path}", f"--compare={tmp_path / 'no.json'}"]):
        with pytest.raises(SystemExit) as stopped:
            command("vton_jax.evaluate.__main__", f"--output={tmp_path / 'out'}", *arguments)
        said = capsys.readouterr().err
        assert stopped.value.code == 2 and len(said.strip().splitlines()) == 1, said
        assert not list(tmp_path.glob("out/*"))


def test_every_protocol_is_stated(tiny, clips, people):
    for suite, _ in (ubc(clips, run=0, arms=("none",)), pairs(people, arms=("none",))):
        texts = suite.texts
        assert {"suite", "split_hash", "size", "garment_region", "lpips", "lpips_vgg"} <= texts["protocol"].keys()
        assert all(isinstance(value, str) for group in texts.values() for value in group.values())
        assert report.html_table([], list(texts["protocol"].items()))
