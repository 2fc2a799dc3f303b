"""A picture brought to life: the two modes, what is laid back, and the command on files and live."""

import jax
import numpy as np
import pytest
import tiny_first_order
from media_samples import clip
from tiny_first_order import Reader, head_joints

from vton_jax.core import keypoints
from vton_jax.core.errors import NoPersonFound, UserError
from vton_jax.media import photo_files, recording, video_files
from vton_jax.models import first_order
from vton_jax.systems.first_order import cropping, job, motion, system
from vton_jax.systems.first_order.options import DriveOptions

SIDE = first_order.WORKING


def motions(seed, *lead, count=5):
    generator = np.random.default_rng(seed)
    return {"points": generator.uniform(-0.8, 0.8, (*lead, count, 2)).astype(np.float32),
            "jacobians": (np.eye(2) + generator.normal(0, 0.2, (*lead, count, 2, 2))).astype(np.float32)}  # fmt: skip


# ----------------------------------------------------------------------------------------------------------- the modes


def test_relative_motion_beside_a_slow_reference():
    source, driving, reference = (motions(seed) for seed in range(3))
    found = motion.relative(source, driving, reference, 0.7)
    for k in range(5):
        points = [one["points"][k].astype(float) for one in (source, driving, reference)]
        np.testing.assert_allclose(found["points"][k], points[0] + 0.7 * (points[1] - points[2]), atol=1e-5)
        frames = [one["jacobians"][k].astype(float) for one in (source, driving, reference)]
        wanted = frames[1] @ np.linalg.inv(frames[2]) @ frames[0]
        np.testing.assert_allclose(found["jacobians"][k], wanted, atol=1e-3)


def test_the_reference_frame_leaves_the_source_as_it_is():
    source, reference = motions(0), motions(1)
    found = motion.relative(source, reference, reference, 1.3)
    for name in source:
        np.testing.assert_allclose(found[name], source[name], atol=1e-3)


def test_scales_are_those_of_hulls():
    square = np.array([[0, 0], [2, 0], [2, 2], [0, 2], [1, 1], [0.5, 1.5]])
    assert motion.hull_area(square) == pytest.approx(4)
    assert motion.scale_between({"points": square}, {"points": square / 2}) == pytest.approx(2)
    assert motion.hull_area(np.array([[0, 0], [1, 1], [2, 2.0]])) > 0  # on a line


def test_the_best_frame_is_the_one_that_lies_alike():
    frames, wanted = motions(2, 6), 4
    source = {"points": 0.5 * frames["points"][wanted] + np.array([0.1, -0.2])}  # smaller, elsewhere
    assert motion.best_frame(source, frames) == wanted


def test_motions_are_saved_and_replayed(tmp_path):
    frames = motions(3, 4)
    motion.save(tmp_path / "m.npz", frames, "face", 12.5)
    found, region, rate = motion.load(tmp_path / "m.npz")
    assert region == "face" and rate == 12.5
    np.testing.assert_array_equal(found["points"], frames["points"])
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    np.savez(tmp_path / "other.npz", points=np.zeros(3))
    for name in ("bad", "other"):
        with pytest.raises(UserError, match="no motion"):
            motion.load(tmp_path / f"{name}.npz")
    with pytest.raises(UserError, match="There is no motion"):
        motion.load(tmp_path / "missing.npz")
    with pytest.raises(UserError, match=r"\.npz"):
        motion.save(tmp_path / "m.txt", frames, "face", 12.5)


# ------------------------------------------------------------------------------------------------------------- cropping


def maps(offsets=(0.0, 0.0), kept=1.0, colour=0.0):
    small = np.broadcast_to(np.float32(offsets), (64, 64, 2))
    return {"offsets": small, "painted": np.full((SIDE, SIDE, 3), colour, np.float32),
            "kept": np.full((SIDE, SIDE, 1), kept, np.float32)}  # fmt: skip


def photo(size=(200, 240), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


@pytest.mark.parametrize("box", [(40, 30, 100), (-20, 120, 110), (0, 0, 240)])
def test_what_does_not_move_is_the_photo(box):
    np.testing.assert_array_equal(cropping.lay_back(photo(), box, maps()), photo())


def test_nothing_of_an_edge_within_the_photo_is_seen():
    """However much moves and is painted, the square's edge shows the photo as it was."""
    box, whole = (40, 30, 100), photo()
    found = cropping.lay_back(whole, box, maps((0.4, -0.3), kept=0.0, colour=0.5))
    changed = np.abs(found.astype(int) - whole).max(-1)
    assert changed[:31].max() == changed[:, :41].max() == changed[129:].max() == changed[:, 139:].max() == 0
    assert np.abs(found[70:90, 80:100].astype(int) - 128).max() <= 1  # painted in the middle
    steps = cropping.fading(box, whole.shape[:2])[50, :, 0]
    assert np.abs(np.diff(steps)).max() < 0.2 and steps.max() == 1


def test_at_the_photos_own_edge_nothing_fades():
    fading = cropping.fading((40, 100, 100), (200, 240))
    assert fading[-1, 50] == 1 and fading[0, 50] == 0


def test_moved_pixels_are_those_that_the_network_meant():
    """The square as the network sees it, moved by JAX, beside the photo's own pixels moved in place."""
    whole = photo((SIDE, SIDE))
    generator = np.random.default_rng(1)
    bent = maps() | {"offsets": np.float32(0.1 * generator.normal(0, 1, (1, 1, 2)) * np.ones((64, 64, 2)))}
    found = cropping.lay_back(whole, (0, 0, SIDE), bent, fade=False)
    batch = {name: one[None] for name, one in bent.items()}
    wanted = jax.jit(first_order.compose)(whole[None].astype(np.float32) / 255, batch)["image"][0] * 255
    assert np.abs(found - np.asarray(wanted)).max() < 6  # OpenCV looks between pixels in 32 steps
    large = np.kron(whole, np.ones((3, 3, 1), np.uint8))
    there = cropping.lay_back(large, (0, 0, 3 * SIDE), maps((2 * 5 / (SIDE - 1), 0.0)), fade=False)
    np.testing.assert_array_equal(there[:, : 3 * (SIDE - 6)], large[:, 15 : 15 + 3 * (SIDE - 6)])  # 5 of its pixels


def test_heads_are_framed_alike_however_they_turn():
    front = keypoints.head_box(head_joints(100, 80, 30))
    turned = head_joints(100, 80, 30)
    ears = [keypoints.ID[name] for name in ("left-ear", "right-ear", "left-eye", "right-eye")]
    turned[ears, 0] = 100  # in profile
    np.testing.assert_allclose(keypoints.head_box(turned), front, atol=0.5)
    assert front[2] - front[0] == pytest.approx(front[3] - front[1]) and front[0] < 90 < 110 < front[2]


# -------------------------------------------------------------------------------------------------------------- driving


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_first_order.write(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def driver(folder):
    return system.FirstOrderDriver(folder, reader=Reader())


@pytest.fixture
def ready(monkeypatch, folder, tmp_path):
    """Options for a job whose reader is ours, with a photo and a clip on disk."""
    monkeypatch.setattr(system, "PictureReader", Reader)
    smooth = np.kron(photo((12, 16)), np.ones((8, 8, 1), np.uint8))  # noise would not survive the encoder
    photo_files.write_image(tmp_path / "photo.png", smooth)
    video_files.write_video(tmp_path / "clip.mp4", clip(4, (96, 96)), 10)

    def options(**changes):
        given = {"source": str(tmp_path / "photo.png"), "driving": str(tmp_path / "clip.mp4"), "weights": str(folder)}
        return DriveOptions(**(given | changes))

    return options


def test_driven_by_itself_in_either_mode_a_picture_stays(folder):
    still = np.kron(photo((12, 16)), np.ones((8, 8, 1), np.uint8))
    for mode in motion.MODES:
        driver = system.FirstOrderDriver(folder, reader=Reader(), mode=mode)
        source = driver.read(still)
        assert source.region == "face"
        wanted = driver.wanted(source, driver.own_motion(source), driver.own_motion(source))
        offsets = np.asarray(system._move(*driver.network("face"), source.encoded, wanted)["offsets"])
        np.testing.assert_allclose(offsets, 0, atol=1e-3)


def test_the_contract(driver):
    source = driver.read(photo((96, 128)))
    found = list(driver.drive(source, clip(3, (80, 64))))
    assert len(found) == 3 and all(one.shape == (96, 128, 3) and one.dtype == np.uint8 for one in found)
    left, top, side = source.box
    outside = np.ones((96, 128), bool)
    outside[max(top, 0) : top + side, max(left, 0) : left + side] = False
    assert outside.any()
    np.testing.assert_array_equal(found[0][outside], photo((96, 128))[outside])


def test_nobody_and_missing_weights_die_in_a_sentence(folder, tmp_path):
    with pytest.raises(NoPersonFound, match="source photo"):
        system.FirstOrderDriver(folder, reader=Reader(empty=True)).read(photo())
    with pytest.raises(UserError, match="do not exist"):
        system.FirstOrderDriver(tmp_path, reader=Reader()).read(photo())
    with pytest.raises(UserError, match="one of"):
        system.FirstOrderDriver(folder, mode="free")


def test_a_job_writes_a_tagged_clip_and_a_motion_that_is_replayed(ready, tmp_path):
    said = []
    options = ready(side_by_side=True, save_motion=str(tmp_path / "m.npz"))
    path = job.run(options, tmp_path / "out.mp4", said.append)
    frames, rate = video_files.read_video(path)
    assert frames.shape == (4, 96, 96 + 128, 3) and rate == 10
    assert recording.comment_of(path).startswith("generated")
    again = job.run(ready(driving=str(tmp_path / "m.npz")), tmp_path / "again.mp4", said.append)
    apart = np.abs(video_files.read_video(again)[0].astype(int) - frames[:, :, 96:])
    assert apart.mean() < 4  # two encodings


def test_bad_input_dies_in_a_sentence_and_leaves_nothing(ready, tmp_path):
    for change, said in (
        ({"driving": None}, "--driving"),
        ({"driving": str(tmp_path / "missing.mp4")}, "missing.mp4"),
        ({"source": f"{tmp_path}/photo.png,{tmp_path}/photo.png"}, "Several sources"),
        ({"source": str(tmp_path / "missing.png")}, "missing.png"),
    ):
        with pytest.raises(UserError, match=said):
            job.run(ready(**change), tmp_path / "out" / "a.mp4", print)
    with pytest.raises(UserError, match="camera"):
        job.run_live(ready(driving=str(tmp_path / "m.npz")), None, print)
    assert not list(tmp_path.glob("out/*"))


def test_live_keys_change_reference_and_source(driver):
    sources = [driver.read(photo((96, 128), seed)) for seed in (0, 1)]
    lively = job.LiveDriver(driver, sources)
    frames = clip(3, (80, 64))
    first = lively(frames[0])
    assert first.shape == (96, 128, 3) and lively.reference is not None
    held = lively.reference
    lively(frames[1])
    assert lively.reference is held
    lively.key("x")
    lively(frames[2])
    assert lively.reference is not held
    lively.key("2")
    np.testing.assert_array_equal(lively(frames[2])[:2, :2], photo((96, 128), 1)[:2, :2])
    lively.key("9")
    assert lively.source is sources[1]


def test_a_live_run_records_what_it_shows(ready, tmp_path):
    said = []
    timing = job.run_live(ready(live=True, display="none"), tmp_path / "live.mp4", said.append)
    assert timing.shown >= 1 and "capture to display" in said[-1]
    assert len(video_files.read_video(tmp_path / "live.mp4")[0]) == timing.shown
