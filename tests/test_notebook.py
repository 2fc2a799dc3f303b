"""The notebooks run from their first cell to their last.

Their cells are plain Python in which magics are calls, so that no kernel is needed: Jupyter would add some 25 packages
to the extra `test`. The cells carry their own assertions. One command of each notebook has a process of its own; the
others run in this one, where libraries and programs are loaded already.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vton_jax.evaluate import catalogue_steps

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "vton_jax" / "samples"
CELLS = {path.stem: json.loads(path.read_text(encoding="utf-8"))["cells"] for path in ROOT.glob("notebooks/*.ipynb")}
CODE = {
    name: ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"] for name, cells in CELLS.items()
}
# What stands in the output, and what lies there, when a notebook has run; `filled` is what somebody writes into it.
SAID = {
    "train": ("exit code 143", "resumed at step", "step   9"),
    "try_on": ("garment.png", "post ", "pose_image"),
}
MADE = {
    "train": ("runs/notebook/checkpoints/9",),
    "try_on": tuple(
        f"out/notebook/{name}"
        for name in ("tryon.mp4", "tryon.png", "mine.png", "read", "invert/iterations.mp4", "evaluation/report.html")
    ),
}
# Commands that run in this process; `read` has one of its own, as all have for a user.
HERE = {f"vton_jax.{name}": f"vton_jax.{name}" for name in ("render", "invert")}
HERE["vton_jax.evaluate"] = "vton_jax.evaluate.__main__"
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


class Here:
    """Stands for the process of a command that has run in this one."""

    def __init__(self, run, *arguments, cwd=None, text=False, **_):
        said, self.returncode = io.StringIO(), 0
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), contextlib.chdir(cwd or "."):
            try:
                run(*arguments)
            except SystemExit as stopped:
                self.returncode = stopped.code
        self.args, self.said = arguments, said.getvalue() if text else said.getvalue().encode()
        self.stdout = io.BytesIO(said.getvalue().encode())

    __enter__ = lambda self: self  # noqa: E731
    __exit__ = lambda self, *_: None  # noqa: E731
    poll = lambda self: self.returncode  # noqa: E731
    communicate = lambda self, *_, **__: (self.said, self.said)  # noqa: E731


@pytest.mark.parametrize("name", CELLS)
def test_a_notebook_runs_from_start_to_end(name, tmp_path, monkeypatch, capsys, command, train_script):
    code = "\n".join(CODE[name])
    if name in FILLED:
        assert FILLED[name][0] in code
        code = code.replace(*FILLED[name])
    process, trainings = subprocess.Popen, []

    def start(line, **rest):
        if line[1:2] == ["-m"] and line[2] in HERE:
            return Here(command, HERE[line[2]], *line[3:], **rest)
        if str(line[1]).endswith("train.py"):
            trainings.append(line)
            if len(trainings) > 1:  # the first is stopped by a signal
                return Here(train_script, *line[2:], **rest)
        return process(line, **rest)

    monkeypatch.setattr(subprocess, "Popen", start)
    # The backward procedure of one case at a time: with the program that `invert` has compiled.
    monkeypatch.setattr(catalogue_steps, "_BATCH", 1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("VTON_JAX_QUICK", "1")
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    exec(compile(code, name, "exec"), {"__name__": "__main__"})
    said = capsys.readouterr().out
    assert all(words in said for words in SAID[name]), said
    assert all((tmp_path / path).exists() for path in MADE[name])


@pytest.mark.parametrize("name", CELLS)
def test_without_a_checkout_a_notebook_asks_for_the_address(name, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-S", "-c", CODE[name][0]], cwd=tmp_path, env=environment, capture_output=True, text=True
    )  # -S: no installed packages
    assert done.returncode == 1 and done.stderr == "Set REPOSITORY above to the git address of vton_jax.\n"
