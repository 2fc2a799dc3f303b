"""Folders of real clips become windows of frames, cropped, a file for each clip."""

import numpy as np
import pytest
from tiny_first_order import Reader

from data import driving_clips
from vton_jax.core.errors import UserError
from vton_jax.inputs import clips
from vton_jax.media import photo_files, video_files


def frames(count, size=(96, 128)):
    found = np.zeros((count, *size, 3), np.uint8)
    found[:] = (10 * np.arange(count))[:, None, None, None]
    found[:, 40:56, 56:72] = 255
    return found


def test_windows_lie_apart_in_time_and_short_clips_give_one():
    settings = driving_clips.Settings(windows=3)
    found = driving_clips.windows(200, 20.0, settings)
    assert found.shape == (3, clips.NUM_FRAMES) and (np.diff(found, axis=1) == round(clips.BETWEEN * 20)).all()
    assert found[0, 0] == 0 and found[-1, -1] == 199
    short = driving_clips.windows(5, 25.0, settings)
    assert short.shape == (1, clips.NUM_FRAMES) and short[0, 0] == 0 and short[0, -1] == 4


def test_a_folder_becomes_files_and_files_batches(tmp_path):
    source = tmp_path / "source"
    video_files.write_video(source / "a" / "one.mp4", frames(12), 10)
    for number, frame in enumerate(frames(4)):
        photo_files.write_image(source / "two" / f"{number:04d}.png", frame)
    (source / "broken.mp4").write_bytes(b"no clip")
    count = driving_clips.build(source, tmp_path / "out", driving_clips.Settings(), Reader())
    assert count == 2
    batch = next(clips.open_batches(str(tmp_path / "out"), 4, 0, (128, 128), "train"))
    assert batch["source"].shape == (4, 128, 128, 3) and not batch["seen"].any()
    assert batch["driving"].max() > 200  # the white square is in the crop


def test_what_cannot_be_used_dies_in_a_sentence(tmp_path):
    with pytest.raises(UserError, match="There is no folder"):
        driving_clips.build(tmp_path / "missing", tmp_path / "out", driving_clips.Settings(), Reader())
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no clips"):
        driving_clips.build(tmp_path / "empty", tmp_path / "out", driving_clips.Settings(), Reader())
    video_files.write_video(tmp_path / "nobody" / "a.mp4", frames(3), 10)
    with pytest.raises(UserError, match="can be used"):
        driving_clips.build(tmp_path / "nobody", tmp_path / "out", driving_clips.Settings(), Reader(empty=True))
