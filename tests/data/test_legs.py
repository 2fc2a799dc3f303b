"""`python data/build.py legs`: what the package draws where the photo shows no legs."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from data.catalogue import legs
from vton_jax.compositing import drawn_legs

ROOT = Path(__file__).resolve().parents[2]


def test_legs_are_written_as_they_are_read(tmp_path):
    legs.build(tmp_path / "new" / "legs.npz", count=3, looks=6)
    legs.build(tmp_path / "again.npz", count=3, looks=6)
    found, again = (np.load(path) for path in (tmp_path / "new" / "legs.npz", tmp_path / "again.npz"))
    for name, shipped in zip(("key", "outlines", "detail"), drawn_legs.views(), strict=True):
        assert found[name].dtype == shipped.dtype and found[name].shape[1:] == shipped.shape[1:]
        np.testing.assert_array_equal(found[name], again[name])
    assert (found["outlines"][..., 1] > found["outlines"][..., 0]).all()


def test_packaged_legs_are_narrow_at_knee_and_ankle():
    """Widths in body heights, in the middle of all views: thigh, knee, calf, ankle."""
    _, outlines, _ = drawn_legs.views()
    wide = np.diff(outlines.astype(np.float32), axis=-1)[..., 0]
    thigh, knee, calf, ankle = (np.median(wide[:, int(place * drawn_legs.BINS)]) for place in (0.3, 1.0, 1.3, 1.9))
    assert ankle < knee < calf * 1.1 < thigh and 0.05 < thigh < 0.11 and 0.02 < ankle < 0.05


def test_the_outline_is_that_of_what_lies_on_the_bone():
    shown = np.zeros(drawn_legs.SIZE, bool)
    shown[:, 15:26] = True  # about the bone
    shown[40:60, 35:40] = True  # another one
    shown[70, 15:44] = True  # a single row
    low, high = legs.outlines(shown)
    half = 0.5 / drawn_legs.STEPS
    np.testing.assert_allclose(low, drawn_legs.COLUMNS[15] - half, atol=1e-6)
    np.testing.assert_allclose(high, drawn_legs.COLUMNS[25] + half, atol=1e-6)
    assert legs.is_whole(np.stack([low, high], -1))
    assert not legs.is_whole(np.stack([low, np.where(np.arange(len(high)) < 50, high, high + 0.02)], -1))


def test_without_a_folder_it_says_what_is_missing():
    command = [sys.executable, ROOT / "data" / "build.py", "legs"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert ran.returncode and "--data_dir=DIR" in ran.stderr and "Traceback" not in ran.stderr
