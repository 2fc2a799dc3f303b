"""The notebooks run from their first cell to their last.

Their cells are plain Python in which magics are calls, so that no kernel is needed: Jupyter would add some 25 packages
to the extra `test`. The cells carry their own assertions.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "vton_jax" / "samples"
CELLS = {path.stem: json.loads(path.read_text(encoding="utf-8"))["cells"] for path in ROOT.glob("notebooks/*.ipynb")}
CODE = {
    name: ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"] for name, cells in CELLS.items()
}
# What stands in the output, and what lies there, when a notebook has run; `filled` is what somebody writes into it.
SAID = {
    "train": ("exit code 143", "resumed at step", "step  21"),
    "try_on": ("garment.png", "post ", "pose_image"),
}
MADE = {
    "train": ("runs/notebook/checkpoints/24",),
    "try_on": tuple(
        f"out/notebook/{name}"
        for name in ("tryon.mp4", "tryon.png", "mine.png", "read", "invert/iterations.mp4", "evaluation/report.html")
    ),
}
FILLED = {"try_on": ('PERSON = ""', f'PERSON = "{SAMPLES / "person.png"}"')}


def test_both_notebooks_are_here():
    assert CELLS.keys() == SAID.keys() == MADE.keys()


@pytest.mark.parametrize("name", CELLS)
def test_a_notebook_is_clean_and_explained(name):
    cells = CELLS[name]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells if cell["cell_type"] == "code")
    assert cells[0]["cell_type"] == "markdown" and len(CODE[name]) >= 5


def test_all_notebooks_install_alike():
    assert len({code[0] for code in CODE.values()}) == 1


@pytest.mark.parametrize("name", CELLS)
def test_a_notebook_runs_from_start_to_end(name, tmp_path):
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT), "VTON_JAX_QUICK": "1"}
    code = "\n".join(CODE[name])
    if name in FILLED:
        assert FILLED[name][0] in code
        code = code.replace(*FILLED[name])
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(words in done.stdout for words in SAID[name]), done.stdout
    assert all((tmp_path / path).exists() for path in MADE[name])


@pytest.mark.parametrize("name", CELLS)
def test_without_a_checkout_a_notebook_asks_for_the_address(name, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-S", "-c", CODE[name][0]], cwd=tmp_path, env=environment, capture_output=True, text=True
    )  # -S: no installed packages
    assert done.returncode == 1 and done.stderr == "Set REPOSITORY above to the git address of vton_jax.\n"
