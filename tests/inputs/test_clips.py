"""Clips in memory: pairs of one clip, mirrored with their spots, split by file."""

import numpy as np
import pytest

from vton_jax.core.errors import UserError
from vton_jax.inputs import clips


@pytest.fixture
def folder(tmp_path):
    """Twenty files of one clip each, whose grey level is their number; a white pixel is the first spot."""
    for number in range(20):
        frames = np.full((1, 3, 64, 64, 3), 5 * number, np.uint8)
        points = np.zeros((1, 3, 96, 2), np.float32)
        for t in range(3):
            points[0, t, 0] = 10 + 5 * t, 20
            frames[0, t, 20, 10 + 5 * t] = 255
        np.savez(tmp_path / f"{number:04d}.npz", frames=frames, points=points, seen=np.ones((1, 3, 96), bool))
    return tmp_path


def test_pairs_are_of_one_clip_and_spots_follow_mirrors(folder):
    batches = clips.open_batches(str(folder), 16, 0, (64, 64), "train")
    batch = next(batches)
    assert (batch["source"][:, 0, 0] == batch["driving"][:, 0, 0]).all()
    assert batch["source"][:, 0, 0].max() < 5 * 19  # the last file is of `validation`
    mirrored = set()
    for row in range(16):
        for who in ("source", "driving"):
            column, line = batch[f"{who}_points"][row, 0].astype(int)
            assert (batch[who][row, line, column] == 255).all()
            mirrored.add(column > 32)
        assert (batch["source_points"][row, 0] != batch["driving_points"][row, 0]).any()
    assert mirrored == {True, False}
    np.testing.assert_array_equal(clips.open_batches(str(folder), 16, 0, (64, 64), "train").batch_at(0)["source"],
                                  batch["source"])  # fmt: skip


def test_validation_and_another_size(folder):
    found = clips.read(folder, (128, 128), "validation")
    assert found["frames"].shape == (1, 3, 128, 128, 3) and (found["frames"][0, 0, 0, 0] == 95).all()
    np.testing.assert_allclose(found["points"][0, 0, 0], [20.5, 40.5])


def test_other_folders_die_in_a_sentence(tmp_path, folder):
    with pytest.raises(UserError, match="holds no clips"):
        clips.read(tmp_path / "missing", (64, 64), "train")
    np.savez(tmp_path / "0000.npz", image=np.zeros(3))
    with pytest.raises(UserError, match="other examples"):
        clips.read(tmp_path, (64, 64), "train")
