"""Raw videos: shots, gates, people and outfits one by one, and whole builds that are mixed, broken and killed."""

import csv
import dataclasses
import errno
import os
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import quick_build

from vton_jax import reading
from vton_jax.catalogue import videos as drawn_videos
from vton_jax.core import keypoints
from vton_jax.core.errors import UserError
from vton_jax.inputs import input_pipeline
from vton_jax.media import video_files
from vton_jax.reading import person_crop
from vton_jax.reading.choice import Choice
from vton_jax.reading.picture_reader import PictureReader

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
tfds = pytest.importorskip("tensorflow_datasets")

import dying_jobs

from data import prepare
from data.pose_and_dress import pose_and_dress, selection
from data.raw import annotate, engine, outfits, people, quality, shots, units


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two drawn people with two videos each, 16 frames of 256x192."""
    folder = tmp_path_factory.mktemp("people")
    list(drawn_videos.write(folder, 2, 2, drawn_videos.Settings(seed=5, seconds=4, frame_rate=4)))
    return folder


@pytest.fixture(scope="module")
def build(videos, tmp_path_factory):
    """One build of a folder that mixes everything; its dataset's folder. Units are made in this process.

    The reader looks once: that it looks thoroughly is seen by the tests of frames.
    """
    source = tmp_path_factory.mktemp("mixed")
    truth_settings = drawn_videos.Settings(seed=1, seconds=2, frame_rate=4, size=(64, 48))
    list(drawn_videos.write(source, 1, 2, truth_settings))
    shop = source / "shop" / "spring"
    shop.mkdir(parents=True)
    files = sorted((videos / "videos").glob("*.mp4"))
    for path in files[:3]:  # of the second person one is enough to be told from the first
        shutil.copy(path, shop)
    shutil.copy(files[0], source / "the-same.mp4")
    (source / "letter.mp4").write_text("This is no video.")
    (source / "cut.mp4").write_bytes(files[1].read_bytes()[: files[1].stat().st_size // 3])
    video_files.write_video(source / "nobody.mp4", [np.full((256, 192, 3), 200, np.uint8)] * 6, 4)
    data_dir = tmp_path_factory.mktemp("data")
    execution = engine.Execution(str(data_dir / "work"), workers=1)
    settings = pose_and_dress.Settings(max_frames=12, frames_per_video=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PictureReader, "read", quick_build.once)
        patch.setattr(engine, "_single_threaded", lambda: None)
        patch.setattr(engine, "run_locally", lambda todo, function, *_, **__: list(map(function, todo)))
        place = prepare.build(pose_and_dress, source, data_dir, settings=settings, execution=execution)
        assert prepare.build(pose_and_dress, source, data_dir, settings=settings, execution=execution) == place
    return place


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


# --- shots -----------------------------------------------------------------------------------------------------------


def test_a_cut_is_found_where_it_is(videos, tmp_path):
    one, two = (video_files.read_video(path)[0] for path in sorted((videos / "videos").glob("*_0.mp4")))
    video_files.write_video(tmp_path / "joined.mp4", np.concatenate([one[:9], two[:7]]), 4)
    found = shots.decode(tmp_path / "joined.mp4", rate=6, max_frames=60)
    assert found.bounds == ((0, 9), (9, 16)) and found.total == 16 and not found.problem
    np.testing.assert_array_equal(found.shots, [0] * 9 + [1] * 7)
    for path in sorted((videos / "videos").glob("*.mp4")):
        assert shots.decode(path, 6, 60).bounds == ((0, 16),)


def test_long_videos_are_thinned_and_broken_ones_used_as_far_as_they_go(videos, tmp_path):
    path = sorted((videos / "videos").glob("*.mp4"))[0]
    few = shots.decode(path, rate=4, max_frames=4)  # every one of 16 frames, then every other one, twice
    np.testing.assert_array_equal(few.numbers, [0, 4, 8, 12])
    np.testing.assert_array_equal(few.frames[1], video_files.read_video(path)[0][4])
    np.testing.assert_array_equal(shots.decode(path, rate=2, max_frames=8).numbers, range(0, 16, 2))
    (tmp_path / "cut.mp4").write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    cut = shots.decode(tmp_path / "cut.mp4", 6, 60)
    assert 0 < cut.total < 16 and "cut off" in cut.problem and len(cut.frames) == cut.total


# --- frames ----------------------------------------------------------------------------------------------------------


def truth_of(videos, path):
    with np.load(videos / "truth" / f"{path.stem}.npz") as file:
        return {name: file[name] for name in ("keypoints", "visible", "segmentation")}


def test_the_default_annotator_finds_pose_and_parts_of_drawn_people(videos):
    loaded = Choice().load()
    path = sorted((videos / "videos").glob("*.mp4"))[0]
    frames, truth = video_files.read_video(path)[0][::8], {k: v[::8] for k, v in truth_of(videos, path).items()}
    wide = [np.pad(frame, ((0, 0), (90, 200), (0, 0)), mode="edge") for frame in frames]
    larger = np.stack([cv2.resize(frame, None, fx=1.5, fy=1.5) for frame in wide])
    points, confidence = loaded.pose.estimate(larger)
    expected = (truth["keypoints"] + [90.5, 0.5]) * 1.5 - 0.5
    apart = np.linalg.norm(points - expected, axis=-1) / keypoints.person_height(expected, truth["visible"])[:, None]
    both = truth["visible"] & (confidence >= loaded.pose.threshold)
    assert both.sum() > 0.9 * truth["visible"].sum() and np.median(apart[both]) < 0.02
    labels, certainty = loaded.parser.parse(frames)
    assert (labels == truth["segmentation"]).mean() > 0.8 and certainty.min() > quality._LEAST_PARSE_CONFIDENCE


def test_a_crop_frames_the_person_and_knows_its_place(videos):
    path = sorted((videos / "videos").glob("*.mp4"))[0]
    frame, truth = video_files.read_video(path)[0][2], truth_of(videos, path)
    points, visible = truth["keypoints"][2], truth["visible"][2]
    box = person_crop.crop_boxes(points[None], visible[None], (256, 192))[0]
    crop, place = person_crop.crop_to(frame, box, (128, 96))
    labels, _ = person_crop.crop_to(truth["segmentation"][2], box, (128, 96), nearest=True)
    rows = np.nonzero((labels > 0).any(1))[0]
    assert crop.shape == (128, 96, 3) and rows[0] < 20 and 110 < rows[-1] < 127  # from the hair to the shoes
    np.testing.assert_allclose(place.restore_points(place.points(points)), points, atol=1e-3)
    spot = np.round(points[keypoints.ID["neck"]]).astype(int)
    x, y = np.round(place.points(spot)).astype(int)
    assert np.abs(crop[y, x].astype(int) - frame[spot[1], spot[0]]).max() < 60


def test_each_gate_names_its_reason(videos):
    path = sorted((videos / "videos").glob("*.mp4"))[0]
    frame, truth = video_files.read_video(path)[0][0], truth_of(videos, path)
    points, visible, labels = (truth[k][0] for k in ("keypoints", "visible", "segmentation"))
    sure = np.full(18, 0.9)
    assert quality.pose_problem(points, visible, sure, (256, 192)) == ""
    assert quality.pose_problem(points, visible, 0.2 * sure, (256, 192)).startswith("pose uncertain")
    assert quality.pose_problem(points, visible & (np.arange(18) < 5), sure, (256, 192)).startswith("no person")
    legless = visible & ~np.isin(np.arange(18), [keypoints.ID["left-ankle"], keypoints.ID["right-ankle"]])
    assert quality.pose_problem(points, legless, sure, (256, 192)) == "cut off: the feet are not seen"
    feet = int(points[keypoints.ID["left-ankle"], 1])
    assert quality.pose_problem(points, visible, sure, (feet, 192)).startswith("cut off: the body")
    assert quality.blur_problem(frame) == ""
    assert quality.blur_problem(cv2.GaussianBlur(frame, (0, 0), 3)).startswith("blurred")
    assert quality.parse_problem(labels, 0.9, points, visible) == ""
    assert quality.parse_problem(labels, 0.3, points, visible).startswith("parse uncertain")
    assert quality.parse_problem(np.zeros_like(labels), 0.9, points, visible).startswith("no person")
    assert quality.parse_problem(np.concatenate([labels] * 2, 1), 0.9, points, visible) == "several people"
    assert quality.parse_problem(labels, 0.9, np.full((18, 2), 2.0), visible).startswith("pose and parse disagree")
    assert quality.faces_problem([30, 25]) and not quality.faces_problem([30, 10]) and not quality.faces_problem([])


def test_two_people_side_by_side_are_rejected(videos, tmp_path):
    one, two = (video_files.read_video(path, 3)[0] for path in sorted((videos / "videos").glob("*_0.mp4")))
    video_files.write_video(tmp_path / "two.mp4", np.concatenate([one, two], 2), 4)
    annotators = Choice().load()
    unit = annotate.annotate_video(tmp_path / "two.mp4", "two.mp4", annotators, annotate.Settings())
    assert not unit.shots and "several people" in {reason for _, reason in unit.rejected_frames}


# --- people and outfits ----------------------------------------------------------------------------------------------


def test_clusters_and_their_scores():
    generator = np.random.default_rng(0)
    truth = np.repeat(np.arange(6), 4)
    embeddings = generator.normal(size=(6, 16))[truth] * 3 + generator.normal(size=(24, 16)) * 0.3
    assert people.pairwise(people.cluster(embeddings, 4.0), truth) == (1.0, 1.0)
    found = generator.integers(0, 5, 24)
    pairs = [(i, j) for i in range(24) for j in range(i)]
    claimed = [(i, j) for i, j in pairs if found[i] == found[j]]
    same = [(i, j) for i, j in pairs if truth[i] == truth[j]]
    right = len(set(claimed) & set(same))
    assert people.pairwise(found, truth) == pytest.approx((right / len(claimed), right / len(same)))
    assert people.names_of([1, 0, 1], ["b", "c", "a"]) == ["like-a", "like-c", "like-a"]


def test_people_csv(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("video,person\na.mp4,Ada\nb.mp4,Ada\n")
    assert people.read_people(path) == {"a.mp4": "Ada", "b.mp4": "Ada"}
    path.write_text("video,person,upper,lower,dress\na.mp4,Ada,T 12,J3,\nb.mp4,Ada,,,\nc.mp4,Bo,,,D1\n")
    assert people.read_garments(path) == {"a.mp4": ("upper-T-12", "lower-J3", ""), "c.mp4": ("", "", "dress-D1")}
    path.write_text("film,who\na.mp4,Ada\n")
    with pytest.raises(UserError, match="line 2"):
        people.read_people(path)
    path.write_text("video,person\na.mp4,Ada\na.mp4,Bo\n")
    with pytest.raises(UserError, match="Ada and Bo"):
        people.read_people(path)


def test_outfits_are_told_apart_by_colour():
    labels = np.zeros((1, 60, 40), np.uint8)
    labels[:, 10:30, 10:30], labels[:, 30:50, 10:30] = 4, 6  # upper-clothes, pants
    generator = np.random.default_rng(0)

    def dressed(upper, lower):
        image = np.full((1, 60, 40, 3), 230, np.float32)
        image[labels == 4], image[labels == 6] = upper, lower
        return outfits.describe(np.clip(image + generator.normal(0, 6, image.shape), 0, 255).astype(np.uint8), labels)

    red, dim, blue = (
        dressed((200, 40, 40), (60, 60, 80)),
        dressed((190, 38, 38), (58, 58, 76)),
        dressed((40, 60, 190), (60, 60, 80)),
    )
    ids = outfits.garment_ids("ada", [red, dim, blue])
    assert ids == [
        ("upper-ada-0", "lower-ada-0", ""),
        ("upper-ada-0", "lower-ada-0", ""),
        ("upper-ada-1", "lower-ada-0", ""),
    ]
    # Ids stand between blanks: a person is named after a file, whose name may have some.
    assert outfits.garment_ids("like-my shirt.mp4", [red]) == [
        ("upper-like-my%20shirt.mp4-0", "lower-like-my%20shirt.mp4-0", "")
    ]


# --- whole builds ----------------------------------------------------------------------------------------------------


def test_a_mixed_folder_becomes_a_dataset_and_lists_what_it_rejects(build):
    builder = tfds.builder_from_directory(str(build))
    examples = [example for split in builder.info.splits for example in builder.as_data_source(split)]
    raw = [e for e in examples if b"shop" in e["input_video"] and b"shop" in e["donor_video"]]
    assert raw and len(raw) < len(examples)  # raw videos, and those with truth
    for example in raw:
        # The videos' names say who they are; the build did not know them.
        who = {Path(example[f"{v}_video"].decode()).name[:8] for v in ("input", "donor")}
        assert len(who) == 1 and example["input_video"] != example["donor_video"]
        assert example["input_image"].shape == (256, 192, 3)
        points = [(example[f"{p}_keypoints"], example[f"{p}_visible"]) for p in input_pipeline.PEOPLE]
        for a, b in ((0, 1), (0, 2), (1, 2)):
            assert selection.pose_distance(*points[a], *points[b]) >= 0.07
        given = (example["dress_image"] != 255).any(-1)
        assert 0.004 < given.mean() < 0.4 and (example["donor_segmentation"][..., 0][given] > 0).all()
    rejected = {(row["video"], row["frame"]): row["reason"] for row in table(build / "rejected.csv")}
    assert rejected["the-same.mp4", ""] == "the same file as shop/spring/s5-p0000_0.mp4"
    assert "letter.mp4 is not a clip" in rejected["letter.mp4", ""]
    assert "no frame can be used" in rejected["nobody.mp4", ""]
    assert "cut off" in rejected["cut.mp4", ""] and str(build) not in rejected["cut.mp4", ""]
    assert any(frame and reason.startswith("pose too close") for (_, frame), reason in rejected.items())
    listed = table(build / "people.csv")
    owners = {}
    for row in listed:
        owners.setdefault(row["person"], set()).add(row["split"])
    assert all(len(mine) == 1 for mine in owners.values())
    page = (build / "report.html").read_text()
    assert page.count("data:image/jpeg") == 1 + len(owners) and "letter.mp4" in page
    # The size of the smallest frames, of the videos with truth.
    batch = next(input_pipeline.tfds_batches(build, "train", 2, seed=0, size=(64, 48)))
    assert batch["input_image"].shape == (2, 64, 48, 3)


def test_a_units_points_are_the_truths(build, videos):
    """Pose and parse of the kept frames are those of the truth, moved into the crop."""
    errors = []
    for path in (build.parent.parent / "work").glob("*/*.npz"):
        unit = units.read(path)
        for shot in unit.shots:
            truth = truth_of(videos, Path(unit.name)) if "shop" in unit.name else None
            if truth is None:
                continue
            for k, number in enumerate(shot.numbers):
                both = shot.visible[k] & truth["visible"][number]
                here, there = shot.keypoints[k][both], truth["keypoints"][number][both]
                # The crop scales and shifts: the best such map leaves only the annotator's error.
                h, t = here - here.mean(0), there - there.mean(0)
                scale = (h * t).sum() / (t * t).sum()
                error = np.linalg.norm(h - scale * t, axis=1) / np.ptp(here[:, 1])
                errors.append(np.median(error))
    assert len(errors) >= 6 and np.median(errors) < 0.06 and max(errors) < 0.12


def test_a_video_that_kills_its_process_is_rejected_and_the_rest_is_made(tmp_path):
    jobs = [engine.Job(name, name, str(tmp_path / "00" / f"{name}.npz")) for name in "abc"]
    engine.run_locally(jobs, dying_jobs.die_of_b, 2, rejected=engine._died)
    reasons = {name: units.read(Path(job.unit)).rejected for name, job in zip("abc", jobs, strict=True)}
    assert reasons == {"a": "looked at", "b": "the process that read it died, twice", "c": "looked at"}


def test_a_full_disk_or_a_folder_that_cannot_be_is_one_sentence(tmp_path, monkeypatch):
    unit = units.Unit("a.mp4", "", "", 1, 1, [], [])
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        units.write(tmp_path / "file" / "a.npz", unit)

    def full(file, **arrays):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(UserError, match=r"No space left.*goes on where it was"):
        units.write(tmp_path / "00" / "a.npz", unit)
    assert not list((tmp_path / "00").iterdir())
    monkeypatch.undo()
    (tmp_path / "00" / ".a.npz.999999999.part").touch()
    (tmp_path / "00" / f".b.npz.{os.getpid()}.part").touch()
    units.sweep(tmp_path)
    assert [path.name for path in (tmp_path / "00").iterdir()] == [f".b.npz.{os.getpid()}.part"]


def test_another_annotator_or_setting_makes_other_units():
    job = [engine.jobs(["a"], [Path("a")], [content], made_by, Path("w"))[0].unit
           for content, made_by in (("1", "x"), ("2", "x"), ("1", "y"), ("1", "x"))]  # fmt: skip
    assert len(set(job[:3])) == 3 and job[0] == job[3]
    fields = {field.name for field in dataclasses.fields(annotate.Settings)}
    assert all(name in str(pose_and_dress.Settings().looking) for name in fields)
    with pytest.raises(UserError, match="cannot be read"):
        reading.digest_of("no/such.tflite")


def test_a_file_that_cannot_be_read_stops_no_other(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"a")
    found = engine.digests([tmp_path / "a.mp4", tmp_path / "gone.mp4"])
    assert len(found[0]) == 64 and "No such file" in found[1]
    job = engine.Job(str(tmp_path / "gone.mp4"), "gone.mp4", str(tmp_path / "00" / "gone.npz"))
    engine.work(job, Choice(), annotate.Settings())
    assert units.read(Path(job.unit)).rejected.startswith("gone.mp4 does not exist")


def test_a_killed_build_goes_on_to_the_same_bytes(videos, command, capsys, tmp_path, monkeypatch):
    """Two SIGKILLs, then two workers; against one undisturbed worker. Of each video 4 frames are looked at, once."""
    for path in (videos / "videos").glob("s5-p0000_*.mp4"):
        shutil.copy(path, tmp_path)
    # One program that runs many times: half as slow where it is optimised a little.
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=1 --xla_cpu_use_fusion_emitters=false")
    command("benchmarks.build_kill", "--kills=2", f"--videos={tmp_path}", "--max_frames=4",
            f"--script={quick_build.__file__}")  # fmt: skip
    said = capsys.readouterr().out
    assert "2 kills" in said and "the same byte for byte" in said
