"""Commands start at once, and what they compile is kept for the next run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vton_jax.command_line import commands, compilation_cache, mends
from vton_jax.core.errors import NoGarmentFound, NoPersonFound, UserError, WrongOption

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from vton_jax.command_line import compilation_cache
print(compilation_cache.use(sys.argv[1]))
import jax
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
found = []
jax.monitoring.register_event_listener(lambda name, **_: found.append(name.rsplit("/", 1)[-1]))
jax.jit(lambda x: (x @ x.T).sum())(jax.numpy.ones((8, 8))).block_until_ready()
print(found.count("cache_hits"), found.count("cache_misses"))
"""


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_help_waits_for_no_heavy_library(name):
    command = [sys.executable, "-X", "importtime", "-m", f"vton_jax.{name}", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and f"{name}" in done.stdout, done.stderr
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert not imported & {"jax", "flax", "cv2", "tensorflow_datasets", "grain"}


def test_a_second_process_finds_what_the_first_compiled(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    runs = []
    for _ in range(2):
        command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
        environment |= {"JAX_PLATFORMS": "cpu"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        folder, counts = done.stdout.split("\n")[:2]
        assert Path(folder).parent == tmp_path and Path(folder).name.startswith("jaxlib-")
        runs.append(tuple(map(int, counts.split())))
    assert runs[0][0] == 0 < runs[0][1] and runs[1][0] == runs[0][1] and runs[1][1] == 0


def test_where_programs_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("VTON_JAX_CACHE", str(tmp_path / "mine"))
    assert compilation_cache.folder_of(None).parent == tmp_path / "mine"
    assert compilation_cache.folder_of(str(tmp_path / "given")).parent == tmp_path / "given"
    assert compilation_cache.folder_of("none") is None
    monkeypatch.delenv("VTON_JAX_CACHE")
    assert compilation_cache.folder_of(None).parent == Path("~/.cache/vton_jax").expanduser()
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"--compilation_cache=.*cannot be written to"):
        compilation_cache.use(str(tmp_path / "file"))


def test_the_command_line_adds_the_flag_that_mends():
    assert "--garment_type" in mends.sentence(NoGarmentFound("upper", True))
    assert "--" not in mends.sentence(NoPersonFound("the photo"))
    assert mends.sentence(WrongOption("output_size", "large", "is no size.")) == "--output_size=large is no size."
