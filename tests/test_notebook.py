"""The notebook runs from its first cell to its last.

Its cells are plain Python in which magics are calls, so that no kernel is needed: Jupyter would add some 25 packages to
the extra `test`. The cells carry their own assertions.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CELLS = json.loads((ROOT / "notebooks" / "train.ipynb").read_text(encoding="utf-8"))["cells"]
CODE = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]


def test_the_notebook_is_clean_and_explained():
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in CELLS if cell["cell_type"] == "code")
    assert CELLS[0]["cell_type"] == "markdown" and len(CODE) >= 5


def test_the_notebook_trains_is_interrupted_and_resumes(tmp_path):
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(CODE)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "exit code 143" in done.stdout and "resumed at step" in done.stdout and "step  21" in done.stdout
    assert (tmp_path / "runs" / "notebook" / "checkpoints" / "24").is_dir()


def test_without_a_checkout_the_notebook_asks_for_the_address(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-S", "-c", CODE[0]], cwd=tmp_path, env=environment, capture_output=True, text=True
    )  # -S: no installed packages
    assert done.returncode == 1 and done.stderr == "Set REPOSITORY above to the git address of vton_jax.\n"
