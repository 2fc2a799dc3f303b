"""Pose clips as strangers bring them, through a job: a dark patch is a person, its columns are the pose."""

from pathlib import Path

import numpy as np
import pytest

from vton_jax import TryOnJob
from vton_jax.compositing import normalisation
from vton_jax.core import framing, segmentation
from vton_jax.core.errors import NoPersonFound, PersonLost
from vton_jax.core.types import Dressed, Garment, Layout, Pose, Result, Target, User
from vton_jax.media import photo_files, video_files
from vton_jax.systems import pose_clips
from vton_jax.systems.reader import Reader

SIZE = (64, 48)
SHIRT = segmentation.ID["upper-clothes"]


class Columns:
    """A system whose joints lie amid all that is dark, as those of networks do that know one person alone."""

    size = SIZE

    def __init__(self):
        self.reader = self

    def read_layouts(self, frames):
        labels = np.where(np.asarray(frames).mean(-1) < 100, SHIRT, 0).astype(np.uint8)
        middles = [np.nonzero(one)[1].mean() if one.any() else 0.0 for one in labels]
        points = np.float32(middles)[:, None, None] + np.zeros((len(frames), 18, 2), np.float32)
        seen = (labels > 0).any((1, 2))[:, None] & np.ones((len(frames), 18), bool)
        return Layout(labels, points, seen), np.zeros((len(frames), 2))

    read_people = read_layouts

    def stand_of(self, picture):
        rows, columns = np.nonzero(framing.fit(picture, SIZE)[0].mean(-1) < 100)
        if not len(rows):
            return None
        return normalisation.Stand(
            rows.min() / SIZE[0], (rows.max() + 1) / SIZE[0], (columns.min() + columns.max() + 1) / 2 / SIZE[1]
        )

    def looks_flat(self, frame):
        return True

    def read_user(self, frame, shown=None):
        layout, z = self.read_layouts(frame[None])
        layout = Layout(layout.segmentation[0], layout.keypoints[0], layout.visible[0])
        return User(frame / np.float32(255), layout, z[0], shown)

    def read_garment(self, frame, garment_type=None, flat=None):
        return Garment(frame / np.float32(255), self.read_user(frame).layout, np.int32(0), np.bool_(True))

    def read_poses(self, frames):
        layout, z = self.read_layouts(frames)
        usable = layout.visible[:, 0] & (np.asarray(frames).std((1, 2)).max(1) > 3)
        return Pose(layout, z, usable)

    def dress(self, user, garments, poses):
        for labels in poses.layout.segmentation:
            empty, flow = np.zeros(SIZE, np.float32), np.zeros((*SIZE, 2), np.float32)
            image = np.repeat(np.float32(labels == 0)[..., None], 3, -1)
            yield Result(
                Dressed(image, labels, flow, empty, empty, flow, empty), Target(labels, labels, np.ones(1), {})
            )


def frame(*middles, wide=SIZE[1], width=12):
    picture = np.full((SIZE[0], wide, 3), 255, np.uint8)
    for middle in middles:
        picture[6:60, max(middle - width // 2, 0) : max(middle + width // 2, 0)] = 20
    return picture


SAMPLES = Path(video_files.__file__).parents[1] / "samples"
BLACK = np.zeros((*SIZE, 3), np.uint8)


@pytest.fixture
def read(tmp_path):
    photo_files.write_image(tmp_path / "me.png", frame(24))
    photo_files.write_image(tmp_path / "shirt.png", frame(24))
    names = {"person": "me.png", "garment": "shirt.png", "pose": "walk.mp4"}

    def job(frames, rate=10, **changes):
        video_files.write_video(tmp_path / "walk.mp4", frames, rate)
        paths = {name: str(tmp_path / file) for name, file in names.items()}
        return TryOnJob(**paths, framing=changes.pop("framing", "pose"), system=Columns(), **changes)

    return job


def columns(reading):
    return np.round(np.asarray(reading.poses.layout.keypoints)[:, 0, 0]).astype(int).tolist()


def test_frames_without_anybody_keep_the_pose(read, tmp_path):
    job = read([BLACK, frame(15), frame(17), frame(), frame(21), frame(23)])
    reading = job.read()
    assert np.allclose(columns(reading), [15, 15, 17, 17, 21, 23], atol=1)
    assert reading.notes[-1] == "nobody is found in 2 of the 6 pose frames: 2 keep the pose beside them"
    assert job.write(tmp_path / "clip.mp4", reading).num_frames == 6
    assert len(video_files.read_video(tmp_path / "clip.mp4")[0]) == 6


def test_a_good_clip_has_nothing_to_say(read):
    reading = read([frame(15), frame(17), frame(19)]).read()
    assert len(reading.notes) == 1 and reading.starts == (0,)


def test_a_long_gap_is_refused_and_nothing_is_written(read, tmp_path):
    clip = [frame(20)] * 10 + [frame()] * 8 + [frame(24)] * 10
    with pytest.raises(PersonLost, match=r"from 1\.0 s to 1\.8 s"):
        read(clip).write(tmp_path / "out" / "clip.mp4")
    with pytest.raises(NoPersonFound, match="in the pose clip"):
        read([frame()] * 3 + [BLACK]).read()
    assert not list((tmp_path / "out").glob("*"))


def test_who_walks_out_ends_the_clip(read):
    reading = read([frame(24)] * 6 + [frame(min(30 + 6 * i, 54)) for i in range(12)]).read()
    assert len(reading.pose_frames) < 12 and "the clip ends at" in reading.notes[-1]
    assert max(columns(reading)) < 46


def test_one_of_two_people_is_followed(read):
    """Their joints would lie between both. Each is on one side, and the smaller one becomes the larger one."""
    clip = [frame(20 + i, wide=96) for i in range(6)]
    for index, picture in enumerate(clip):
        picture[20 - 2 * index : 60, 66:76] = 20
    reading = read(clip).read()
    assert any("several people" in note for note in reading.notes)
    assert np.allclose(columns(reading), [10 + i / 2 for i in range(6)], atol=1.5)
    assert (reading.pose_frames[:, :, 34:37] > 200).all()  # where the other one stood is background


def test_the_other_one_is_not_taken_for_somebody_who_left(read):
    clip = [frame(20 - 3 * max(i - 10, 0), 70, wide=96) for i in range(21)]
    for picture in clip:
        picture[:12, 60:80] = 255  # the other one is smaller
    reading = read(clip).read()
    assert max(columns(reading)) < 14 and "keep the pose" in reading.notes[-1]


def test_a_cut_is_framed_anew(read):
    """After it the person is half as large, on other ground; each shot is brought to the same size."""
    far = []
    for index in range(6):
        picture = np.full((*SIZE, 3), (255, 190, 140), np.uint8)
        picture[30:57, 20 + index : 26 + index] = 20
        far.append(picture)
    reading = read([frame(20 + i) for i in range(6)] + far, framing="photo").read()
    assert reading.starts == (0, 6)
    heights = (np.asarray(reading.poses.layout.segmentation) > 0).any(2).sum(1)
    assert heights.min() > 0.9 * heights.max()


def test_the_released_networks_see_one_of_two_people():
    """Two drawn people side by side: without following, the joints lie between both, which belongs to neither."""
    frames, rate = video_files.read_frames(SAMPLES / "pose.mp4", 4)
    frames = frames[::3]
    both = [np.concatenate([one, one[:, ::-1]], 1) for one in frames]
    reader = Reader()
    clip = pose_clips.one_person(reader, both, rate)
    assert len(clip.notes) == 1
    gone = []
    for whole, shown in zip(both, clip.frames, strict=True):
        left, right = (half.max() > 60 for half in np.split(np.abs(shown.astype(int) - whole), 2, axis=1))
        assert left != right
        gone.append(left)
    assert len(set(gone)) == 1  # the same one in every frame
    half = clip.frames[0][:, : both[0].shape[1] // 2] if gone[0] else clip.frames[0][:, both[0].shape[1] // 2 :]
    there = (np.abs(half.astype(int) - np.median(half, (0, 1))).max(-1) > 60).mean()
    assert there < 0.002  # of the other one hardly a speck is left


def places(path):
    """The middle of what is dark in every frame of a clip, in columns."""
    clip, _ = video_files.read_video(path)
    return [float(np.nonzero((one.mean(-1) < 100).any(0))[0].mean()) for one in clip]


def test_frames_that_are_not_painted_lie_where_the_person_is_then(read, tmp_path):
    middles = [14 + index for index in range(12)]
    job = read([frame(middle) for middle in middles], rate=30, temporal_filter="none")
    reading = job.read()
    assert reading.every == 3 and len(reading.pose_frames) == 4
    assert job.write(tmp_path / "out.mp4", reading).num_frames == 12
    found = places(tmp_path / "out.mp4")
    # Between the first and the last that are painted all move on; behind the last one nothing is known.
    np.testing.assert_allclose(found[:10], np.array(middles[:10]) - 0.5, atol=1.2)
    np.testing.assert_allclose(found[9:], found[9], atol=0.5)


def test_shots_are_dressed_each_by_itself_and_nothing_moves_across_a_cut(read, tmp_path):
    white, grey = frame, lambda middle: np.where(frame(middle) > 100, 130, 20).astype(np.uint8)
    job = read([white(12)] * 8 + [grey(36)] * 8, rate=20, temporal_filter="none")
    reading, dressed = job.read(), []
    assert reading.every == 2 and reading.starts == (0, 4)
    plainly = job.system.dress
    job.system.dress = lambda user, garments, poses: dressed.append(len(poses.latent)) or plainly(user, garments, poses)
    job.write(tmp_path / "out.mp4", reading)
    assert dressed == [4, 4]
    np.testing.assert_allclose(places(tmp_path / "out.mp4"), [11.5] * 8 + [35.5] * 8, atol=0.6)


def test_what_is_cut_off_at_an_end_adds_no_frames(read, tmp_path):
    leaving = [frame(24)] * 12 + [frame(min(27 + 3 * i, 54)) for i in range(23)]
    for clip in (leaving, leaving[::-1]):
        job = read(clip, rate=20)
        reading = job.read()
        left_out = 18 - len(reading.pose_frames)
        assert left_out > 0 and reading.num_frames == 35 - 2 * left_out
        assert job.write(tmp_path / "out.mp4", reading).num_frames == reading.num_frames
        assert len(video_files.read_video(tmp_path / "out.mp4")[0]) == reading.num_frames
