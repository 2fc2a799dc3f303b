"""`python data/build.py hands`: what the package draws where arms end."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from data.catalogue import hands
from vton_jax.catalogue import poses
from vton_jax.compositing import drawn_hands

ROOT = Path(__file__).resolve().parents[2]


def test_hands_are_written_as_they_are_read(tmp_path):
    hands.build(tmp_path / "new" / "hands.npz", count=3, looks=8)
    hands.build(tmp_path / "again.npz", count=3, looks=8)
    found, again = (np.load(path) for path in (tmp_path / "new" / "hands.npz", tmp_path / "again.npz"))
    packaged = dict(zip(("key", "alpha", "detail"), drawn_hands.shapes(), strict=True))
    for name, shipped in packaged.items():
        assert found[name].dtype == shipped.dtype and found[name].shape == (3, *shipped.shape[1:])
        np.testing.assert_array_equal(found[name], again[name])
    assert (found["alpha"].reshape(3, -1) == 255).sum(-1).min() > 100


def test_quiet_hands_are_closed_and_the_arms_as_they_were():
    open_hands = poses.stand()
    quiet = poses.with_quiet_hands(open_hands)
    assert quiet.aims == open_hands.aims and quiet.turns.keys() == open_hands.turns.keys()
    changed = {name for name in quiet.turns if not np.allclose(quiet.turns[name], open_hands.turns[name])}
    assert changed == {
        name for name in quiet.turns if name.split("_")[0] in ("thumb", "index", "middle", "ring", "pinky")
    }


def test_without_a_folder_it_says_what_is_missing():
    command = [sys.executable, ROOT / "data" / "build.py", "hands"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert ran.returncode and "--data_dir=DIR" in ran.stderr and "Traceback" not in ran.stderr
