"""Pose-and-Dress: from a catalogue to batches, with splits that share nobody and nothing, and without TensorFlow."""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vton_jax.catalogue import videos
from vton_jax.core import keypoints, segmentation
from vton_jax.core.errors import UserError
from vton_jax.inputs import input_pipeline

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
tfds = pytest.importorskip("tensorflow_datasets")

from data import prepare
from data.pose_and_dress import pose_and_dress, selection

SIZE = (64, 48)
PEOPLE = 4


def seed_for_all_splits() -> int:
    """A seed whose first four people (their names hold the seed) go to all three splits."""
    for seed in range(1000):
        names = [f"s{seed}-p{i:04d}" for i in range(PEOPLE)]
        if {selection.split_of(name) for name in names} == set(selection.SPLITS):
            return seed
    raise AssertionError


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    settings = videos.Settings(seed=seed_for_all_splits(), seconds=3, frame_rate=4, size=SIZE)
    list(videos.write(folder, PEOPLE, 3, settings))
    return folder


def build(source, data_dir, **kwargs):
    return prepare.build(pose_and_dress, source, data_dir, **kwargs)


@pytest.fixture(scope="module")
def data_dir(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "new"
    build(source, folder)
    return folder


@pytest.fixture(scope="module")
def splits(data_dir):
    """All examples of each split, as TFDS gives them back."""
    builder = tfds.builder_from_directory(str(input_pipeline.find_dataset(data_dir)))
    assert set(builder.info.splits) == set(selection.SPLITS)
    return {name: list(builder.as_data_source(name)) for name in builder.info.splits}


def garments(example):
    return (example["input_garments"] + b" " + example["donor_garments"]).decode().split()


def test_nobody_and_no_garment_is_in_two_splits(splits):
    people = {name: {example["person"] for example in examples} for name, examples in splits.items()}
    clothes = {name: {g for example in examples for g in garments(example)} for name, examples in splits.items()}
    for owners in (people, clothes):
        assert all(owners.values())
        assert sum(map(len, owners.values())) == len(set.union(*owners.values()))
    videos = [{e[k] for e in examples for k in ("input_video", "donor_video")} for examples in splits.values()]
    assert sum(map(len, videos)) == len(set.union(*videos)) == PEOPLE * 3


def test_a_garment_that_would_cross_is_dropped():
    def video(name, person, garments):
        return selection.Video(name, person, garments, None, None, None, None)

    names = [f"p{i}" for i in range(200)]
    mine = {split: next(n for n in names if selection.split_of(n) == split) for split in selection.SPLITS}
    videos = [
        video(f"{s}_{k}", mine[s], (f"upper-{s}-{k}", f"skirt-{s}", "")) for s in selection.SPLITS for k in (0, 1)
    ]
    kept, dropped = selection.split_videos(videos)
    assert not dropped and [len(part) for part in kept.values()] == [2, 2, 2]
    shared = video("shared", mine["train"], ("upper-test-0", "skirt-train", ""))
    kept, dropped = selection.split_videos([shared, *videos])
    assert dropped == ["shared"] and [len(part) for part in kept.values()] == [2, 2, 2]
    fractions = [
        sum(selection.split_of(f"s0-p{i:04d}") == split for i in range(2000)) / 2000 for split in selection.SPLITS
    ]
    np.testing.assert_allclose(fractions, [0.8, 0.1, 0.1], atol=0.03)


def test_samples_are_what_they_say(source, splits):
    kinds = []
    for example in (example for examples in splits.values() for example in examples):
        assert example["input_video"] != example["donor_video"]
        assert example["input_video"].startswith(example["person"]) and example["donor_video"].startswith(
            example["person"]
        )
        assert example["donor_frame"] != example["output_frame"]
        # All three poses differ clearly.
        points = [example[f"{p}_keypoints"] for p in input_pipeline.PEOPLE]
        seen = [example[f"{p}_visible"] for p in input_pipeline.PEOPLE]
        for a, b in ((0, 1), (0, 2), (1, 2)):
            assert selection.pose_distance(points[a], seen[a], points[b], seen[b]) >= 0.07
        # What differs between the outfits is what is given.
        kind = segmentation.GARMENT_TYPES[example["garment_type"]]
        before, after = (set(example[f"{p}_garments"].decode().split()) for p in ("input", "donor"))
        changed = {name.split("-")[0] for name in before ^ after}
        if kind == "upper":
            assert changed == {"upper"}
        elif kind == "lower":
            assert changed <= {"skirt", "trousers"} and changed
        else:
            assert "dress" in changed or ("upper" in changed and changed & {"skirt", "trousers"})
        kinds.append(kind)
        # The dress-only image is the donor where the garment is, and white elsewhere.
        labels = example["donor_segmentation"][..., 0]
        given = segmentation.region(labels, segmentation.GARMENT_LABELS[kind])
        assert given.mean() > 0.004 and (example["dress_image"][~given] == 255).all()
        np.testing.assert_array_equal(example["dress_image"][given], example["donor_image"][given])
        # The truth is the catalogue's.
        for person, video in (("input", "input"), ("donor", "donor"), ("output", "donor")):
            name, frame = example[f"{video}_video"].decode(), int(example[f"{person}_frame"])
            with np.load(source / "truth" / f"{name}.npz") as truth:
                np.testing.assert_array_equal(example[f"{person}_segmentation"][..., 0], truth["segmentation"][frame])
                np.testing.assert_array_equal(example[f"{person}_keypoints"], truth["keypoints"][frame])
                np.testing.assert_array_equal(example[f"{person}_visible"], truth["visible"][frame])
            person_pixels = example[f"{person}_image"][example[f"{person}_segmentation"][..., 0] > 0]
            assert len(person_pixels) > 50 and person_pixels.std() > 5
    assert len(set(kinds)) >= 2


def test_grain_reads_it(data_dir):
    batches = input_pipeline.tfds_batches(data_dir, "train", 4, seed=0, size=SIZE)
    batch = next(batches)
    assert batch["input_image"].shape == (4, *SIZE, 3) and batch["input_image"].dtype == np.uint8
    assert batch["output_segmentation"].shape == (4, *SIZE) and batch["output_segmentation"].max() < 18
    assert batch["donor_keypoints"].shape == (4, 18, 2) and batch["donor_keypoints"].dtype == np.float32
    assert batch["donor_visible"].dtype == bool and batch["garment_type"].dtype == np.int32
    assert batch["dress_image"].shape == (4, *SIZE, 3)
    assert set(batch) == set(input_pipeline.REQUIRED)
    state = batches.get_state()
    once = next(batches)
    batches.set_state(state)
    np.testing.assert_array_equal(once["input_image"], next(batches)["input_image"])
    one = next(input_pipeline.tfds_batches(data_dir, "test", 1, seed=0))
    assert one["input_image"].shape == (1, *SIZE, 3)


def test_frames_apart_are_far_apart_and_greedy(source):
    files = selection.list_source(source).annotated[0]
    video = selection.read_video_truth(*files)
    chosen = selection.frames_apart(video, 5, 0.0)
    assert len(set(chosen)) == 5
    everything = list(range(len(video.visible)))
    for k in range(1, 5):  # each is the farthest of all frames from those before it
        radius = selection.distances(video, chosen[:k], video, everything).min(0)
        assert radius[chosen[k]] == radius.max()
    apart = selection.frames_apart(video, 100, 0.07)
    between = selection.distances(video, apart, video, apart)
    assert (between[~np.eye(len(apart), dtype=bool)] >= 0.07).all() and len(apart) >= 3
    np.testing.assert_allclose(np.diag(between), 0, atol=1e-6)


def test_pose_distance_knows_size_place_and_visibility():
    generator = np.random.default_rng(0)
    points = generator.uniform(10, 90, (18, 2)).astype(np.float32)
    visible = np.ones(18, bool)
    assert selection.pose_distance(points, visible, 2 * points + 7, visible) < 1e-5
    fewer = visible.copy()
    fewer[[keypoints.ID["left-wrist"], keypoints.ID["right-ear"]]] = False
    assert selection.pose_distance(points, visible, points, fewer) == pytest.approx(0.1 * 2 / 18, abs=1e-6)


def entries(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.exists() else None


def changed_source(source, folder):
    shutil.copytree(source, folder)
    for kind, ending in (("videos", "mp4"), ("truth", "npz")):
        path = sorted((folder / kind).iterdir())[0]
        assert path.suffix == f".{ending}"
        path.unlink()
    return folder


def test_another_source_is_refused_or_replaces(source, data_dir, tmp_path, capsys):
    copy = tmp_path / "data"
    shutil.copytree(data_dir, copy)
    before = entries(copy)
    assert build(source, copy) and "already" in capsys.readouterr().err
    other = changed_source(source, tmp_path / "other")
    with pytest.raises(UserError, match="--rebuild"):
        build(other, copy)
    with pytest.raises(UserError, match="--rebuild"):
        build(source, copy, settings=pose_and_dress.Settings(frames_per_video=3))
    assert entries(copy) == before
    place = build(other, copy, rebuild=True)
    assert prepare.prepared_from(place) == pose_and_dress.Builder.fingerprint(other, pose_and_dress.Settings())
    assert len(list(copy.iterdir())) == 1
    next(input_pipeline.tfds_batches(copy, "train", 2, seed=0))


def shorten(truth):
    """A truth file that lacks its last frame."""
    with np.load(truth) as file:
        values = {name: file[name] for name in file.files}
    for name in ("segmentation", "keypoints", "visible"):
        values[name] = values[name][:-1]
    np.savez(truth, **values)


def test_broken_files_of_a_catalogue_are_listed_and_the_rest_is_used(source, tmp_path, capsys):
    broken = tmp_path / "broken"
    shutil.copytree(source, broken)
    files = {path.stem: path for path in sorted((broken / "truth").iterdir())}
    people = sorted({name[:-2] for name in files})
    half, short, torn, empty, lone = (f"{people[int(i)]}_{k}" for i, k in zip("01201", "00011", strict=True))
    video = broken / "videos" / f"{half}.mp4"
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    shorten(files[short])
    files[torn].write_bytes(files[torn].read_bytes()[:100])
    files[empty].write_bytes(b"")
    (broken / "videos" / f"{lone}.mp4").unlink()
    place = build(broken, tmp_path / "data")
    assert "5 files of the catalogue cannot be used" in capsys.readouterr().err
    with (place / "rejected.csv").open() as file:
        reasons = {row["video"]: row["reason"] for row in csv.DictReader(file)}
    frames = "12 frames of 64x48 pixels.* 11 frames"
    for name, said in ((half, "cut off|not a clip"), (short, frames), (torn, "damaged"), (empty, "damaged")):
        assert re.search(said, reasons.pop(f"videos/{name}.mp4")), name
    assert reasons == {f"truth/{lone}.npz": "there is no video to this truth file"}
    builder = tfds.builder_from_directory(str(place))
    used = {
        example[key].decode()
        for split in builder.info.splits
        for example in builder.as_data_source(split)
        for key in ("input_video", "donor_video")
    }
    # Two videos of the third person are left and all of the fourth; the others have one.
    assert used == {name for name in files if name[:-2] in people[2:]} - {torn}


def test_a_source_that_gives_nothing_leaves_nothing_behind(source, data_dir, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(source, broken)
    for truth in (broken / "truth").iterdir():
        shorten(truth)
    with pytest.raises(UserError, match=r"gives no samples.* 11 frames"):
        build(broken, tmp_path / "new" / "data")
    assert not (tmp_path / "new").exists()
    # What was there before stays, though it was to be replaced.
    copy = tmp_path / "data"
    shutil.copytree(data_dir, copy)
    before = entries(copy)
    with pytest.raises(UserError, match="gives no samples"):
        build(broken, copy, rebuild=True)
    assert entries(copy) == before


def test_examples_beyond_the_buffer_go_to_disk_and_come_back_in_the_same_order(source, data_dir, tmp_path, monkeypatch):
    place = input_pipeline.find_dataset(data_dir)
    monkeypatch.setattr(prepare, "BUFFER", 1 << 12)
    again = build(source, tmp_path / "data")
    assert "tensorflow" not in sys.modules
    for path in place.glob("*.array_record*"):
        assert path.read_bytes() == (again / path.name).read_bytes()
    assert entries(place) == entries(again)


def test_the_command_line_without_tensorflow(source, tmp_path, build_script, monkeypatch):
    """In a process of its own, which shows what is imported; its mistakes in this one."""
    code = (
        "import runpy, sys\n"
        "sys.path.insert(0, sys.path[0])\n"
        "script = sys.argv.pop(1)\n"
        "sys.argv[0] = script\n"
        "runpy.run_path(script, run_name='__main__')\n"
        "print('tensorflow' in sys.modules)\n"
    )
    script = str(ROOT / "data" / "build.py")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", code, script]
    command += ["pose_and_dress", f"--source={source}", f"--data_dir={tmp_path / 'data'}"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("False") and "train" in done.stderr
    input_pipeline.find_dataset(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    for arguments, said in (
        (("pose_and_dres",), "There is no dataset"),
        (("pose_and_dress",), "--source"),
        (("pose_and_dress", f"--source={tmp_path / 'none'}", "--data_dir=x"), "There is no folder"),
        (("pose_and_dress", f"--source={tmp_path}", "--data_dir=x"), "no videos"),
        (("pose_and_dress", f"--source={source}", "--data_dir=/proc/none"), "cannot be written"),
    ):
        status, _, wrong = build_script(*arguments)
        assert status == 2 and said in wrong and "Traceback" not in wrong
        assert len(wrong.strip().splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
