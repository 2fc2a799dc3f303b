"""Videos of the catalogue: what lies in the folder, its truth, and its bytes."""

import csv
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vton_jax.catalogue import motion, videos, views
from vton_jax.core import geometry
from vton_jax.core.errors import UserError
from vton_jax.media import photo_files, video_files

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = videos.Settings(seed=3, seconds=1.5, frame_rate=4, size=(64, 48))


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("catalogue") / "new" / "shop"
    assert len(list(videos.write(folder, 2, 2, SETTINGS))) == 4
    return folder


def test_the_folder_holds_what_it_says(written):
    rows = list(csv.DictReader((written / "catalogue.csv").open()))
    assert [row["video"] for row in rows] == [f"s3-p000{p}_{k}.mp4" for p in range(2) for k in range(2)]
    assert json.loads((written / "catalogue.json").read_text())["size"] == [64, 48]
    for row in rows:
        frames, rate = video_files.read_video(written / "videos" / row["video"])
        assert frames.shape == (6, 64, 48, 3) and rate == 4
        assert photo_files.read_photo(written / "photos" / f"{row['video'][:-4]}.png").shape == (64, 48, 3)
        with np.load(written / "truth" / f"{row['video'][:-4]}.npz") as truth:
            assert truth["segmentation"].shape == (6, 64, 48) and truth["segmentation"].dtype == np.uint8
            assert truth["keypoints"].shape == (6, 18, 2) and truth["visible"].dtype == bool
            assert truth["keypoints"].dtype == np.float32 and not truth["keypoints"][~truth["visible"]].any()
            assert (row["person"], row["outfit"]) == (truth["person"], truth["outfit_id"])
            worn = [str(truth[name]) for name in ("upper", "lower", "dress") if truth[name]]
            assert np.ptp(truth["yaw"]) > 4  # a turn, of which the last frame is not the first again
        assert row["garments"].split() == worn
        for name in worn:
            picture = photo_files.read_photo(written / "garments" / f"{name}.png")
            mask = photo_files.read_photo(written / "garments" / f"{name}_mask.png")[..., 0] > 0
            assert picture.shape == (64, 48, 3) and 0.05 < mask.mean() < 0.9 and picture[~mask].mean() > 240


def test_the_plan_draws_it_again_and_knows_the_flow(written):
    """Warped by the flow between the views of two frames, one frame's albedo and labels are the other's."""
    (video,) = videos.plan_person(SETTINGS, 0, 1)
    with np.load(written / "truth" / f"{video.name}.npz") as file:
        truth = {name: file[name] for name in ("segmentation", "times")}
    poses = [motion.pose_at(video.moves, float(truth["times"][frame])) for frame in (0, 1)]
    one, two = (views.view_of(video.person, pose, video.place.eye, SETTINGS.size) for pose in poses)
    np.testing.assert_array_equal(one.segmentation, truth["segmentation"][0])
    flow, visible = views.flow_between(two, one)
    assert visible.mean() > 0.02
    moved = np.asarray(geometry.warp_nearest(truth["segmentation"][0], np.asarray(geometry.grid((64, 48))) + flow, 0))
    assert (moved == truth["segmentation"][1])[visible].mean() > 0.8  # edges are rounded to pixels


def test_same_seed_same_bytes_in_another_process_and_after_a_stop(written, tmp_path):
    command = [sys.executable, "-m", "vton_jax.catalogue", "--people=2", "--videos_per_person=2", "--seed=3"]
    command += ["--seconds=1.5", "--frame_rate=4", "--size=64x48", f"--output={tmp_path / 'again'}"]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert digests(tmp_path / "again") == digests(written)
    lost = tmp_path / "again" / "videos" / "s3-p0001_0.mp4"
    kept = tmp_path / "again" / "videos" / "s3-p0000_0.mp4"
    before = kept.stat().st_mtime_ns
    lost.unlink()
    list(videos.write(tmp_path / "again", 1, 3, SETTINGS))  # more videos leave the first as they are
    assert kept.stat().st_mtime_ns == before and not lost.exists()
    list(videos.write(tmp_path / "again", 2, 2, SETTINGS))
    more = digests(tmp_path / "again")
    assert all(more[name] == digest for name, digest in digests(written).items() if name != "catalogue.csv")


def test_consecutive_outfits_differ_in_one_piece_or_in_all_and_ids_say_so(written):
    changes = set()
    for number in range(4):
        before = None
        for video in videos.plan_person(SETTINGS, number, 4):
            if before is not None:
                same = {worn for worn, name in video.garments.items() if name and name == before.garments[worn]}
                assert same in (set(), {"upper"}, {"lower"})
                changes.add(tuple(same))
                for worn in same:
                    layer = "top" if worn == "upper" else next(iter({"trousers", "skirt"} & set(video.skins)))
                    np.testing.assert_array_equal(video.skins[layer], before.skins[layer])
            before = video
    assert changes == {(), ("upper",), ("lower",)}


@pytest.mark.parametrize(
    "arguments, said",
    [
        ((0, 2, SETTINGS), "at least one person"),
        ((2, 0, SETTINGS), "at least one video a person"),
        ((1, 1, videos.Settings(seconds=0)), "length in seconds"),
        ((1, 1, videos.Settings(seed=-1)), "from 0 on"),
        ((1, 1, videos.Settings(size=(16, 12))), "32 pixels are the least"),
        ((2, 2, videos.Settings(seed=4)), "other settings"),
    ],
)
def test_what_makes_no_folder_is_said(written, arguments, said):
    with pytest.raises(UserError, match=said):
        videos.write(written, *arguments)
