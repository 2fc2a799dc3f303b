"""Programs are traced and compiled once, however many processes need them, and are loaded only where that is safe."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vton_jax.core import programs

ROOT = Path(__file__).resolve().parents[2]
# A program that calls LAPACK, one that takes a static argument and gives a tree of a class of ours.
PROCESS = """
import sys
import jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_compilation_cache_dir", sys.argv[1])
from vton_jax.core import programs
from vton_jax.core.types import Layout
traced = []

@programs.compiled()
def solved(matrix, right):
    traced.append("solved")
    return jnp.linalg.solve(matrix, right)

@programs.compiled(static=0)
def scaled(factor, layout):
    traced.append("scaled")
    return {"layout": layout.replace(keypoints=layout.keypoints * factor)}

compiled = []
jax.monitoring.register_event_duration_secs_listener(
    lambda name, *_, **__: compiled.append(name) if name.endswith("backend_compile_duration") else None
)
matrix = np.float32([[2, 1], [1, 3]])
answer = solved(matrix, np.float32([3, 5]))
layout = Layout(np.zeros((4, 4), np.uint8), np.ones((18, 2), np.float32), None)
twice, thrice = (scaled(factor, layout)["layout"] for factor in (2, 3))
assert isinstance(twice, Layout) and twice.visible is None
print(len(traced), len(compiled), *np.asarray(matrix @ answer))
print(*(float(one.keypoints[0, 0]) for one in (twice, thrice)))
"""


def _run(folder: Path, **environment) -> list[float]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    command = [sys.executable, "-c", PROCESS, str(folder)]
    environment = kept | {"JAX_PLATFORMS": "cpu"} | environment
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [float(word) for word in done.stdout.split()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of programs that one process has made."""
    folder = tmp_path_factory.mktemp("cache")
    assert _run(folder) == [3, pytest.approx(4, abs=2), 3, 5, 2, 3]  # with `compiler_options` trying one
    return folder


def test_a_second_process_traces_and_compiles_nothing(folder):
    assert _run(folder) == [0, 0, 3, 5, 2, 3]


def test_another_compiler_flag_is_another_program(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    assert _run(tmp_path / "copy", XLA_FLAGS="--xla_backend_optimization_level=1")[0] == 3


def test_several_devices_share_nothing(folder):
    assert _run(folder, XLA_FLAGS="--xla_force_host_platform_device_count=2")[0] == 3


def test_what_others_may_write_or_nobody_can_read_is_made_anew(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    torn, open_, gone = (tmp_path / "copy" / "programs").glob("*.program")
    torn.write_bytes(torn.read_bytes()[:-9])
    open_.chmod(0o666)
    gone.unlink()
    assert _run(tmp_path / "copy") == [3, pytest.approx(4, abs=2), 3, 5, 2, 3]
    assert all(path.stat().st_mode & 0o077 == 0 for path in (folder / "programs").iterdir())


def test_changed_sources_find_what_xla_is_given_unchanged(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "_folder", lambda: tmp_path)
    traced = []

    def added(x):
        traced.append(1)
        return x + 1

    for sources in ("before", "after", "after"):
        monkeypatch.setattr(programs, "_SOURCES", sources)
        monkeypatch.setattr(programs, "_read_sources", lambda sources=sources: sources)
        assert programs.Program(added)(np.float32(1)) == 2
    assert len(traced) == 2 and len(list(tmp_path.glob("*.program"))) == 1


def test_within_another_program_it_is_part_of_that(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "_folder", lambda: tmp_path)
    program = programs.Program(lambda x: jnp.sin(x).sum())
    x = np.float32([0.3, 0.5])
    np.testing.assert_allclose(jax.grad(program)(x), np.cos(x), rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(program)(x[:, None]), np.sin(x), rtol=1e-6)
    assert not list(tmp_path.glob("*"))
    assert program(x) == pytest.approx(np.sin(x).sum(), rel=1e-6) and list(tmp_path.glob("*.word"))


@pytest.mark.parametrize(
    "x", [np.float64([0.3, 0.5]), np.int64([1, 2]), 0.5, 2, True, jnp.float32(0.5), jnp.asarray(0.5)]
)
def test_arguments_are_what_they_are_for_jit(tmp_path, monkeypatch, x):
    monkeypatch.setattr(programs, "_folder", lambda: tmp_path)
    function = lambda x: {"doubled": 2 * x, "root": jnp.sqrt(x + 1.0)}  # noqa: E731
    kept, plain = programs.Program(function), jax.jit(function)
    for found in (kept(x), kept(x), programs.Program(function)(x)):
        for name, value in plain(x).items():
            np.testing.assert_array_equal(found[name], value)
            assert found[name].dtype == value.dtype and found[name].weak_type == value.weak_type
    assert len(list(tmp_path.glob("*.program"))) == 1


def test_what_was_not_used_for_long_makes_room(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "_MOST_BYTES", 250)
    for age, name in enumerate(("new", "middle", "old")):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    programs._make_room(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["middle", "new"]


def test_programs_are_told_apart_by_what_they_do_not_use(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "_folder", lambda: tmp_path)
    for sources in ("before", "after"):  # the sources change which argument is taken; XLA's text would be the same
        monkeypatch.setattr(programs, "_SOURCES", sources)
        monkeypatch.setattr(programs, "_read_sources", lambda sources=sources: sources)
        taken = 0 if sources == "before" else 1

        def pick(*pair, taken=taken):
            return pair[taken] + 1

        assert programs.Program(pick)(np.float32(10), np.float32(20)) == (11 if sources == "before" else 21)
    program = programs.Program(lambda tree: tree["x"] + 1)
    assert program({"x": np.float32(1), "y": np.float32(5)}) == 2
    assert program({"a": np.float32(7), "x": np.float32(1)}) == 2
    assert program({"x": np.float32(1), "y": np.int32(5)}) == 2


def test_sources_that_change_meanwhile_leave_no_word(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "_folder", lambda: tmp_path)
    monkeypatch.setattr(programs, "_read_sources", lambda: "edited since they were imported")
    assert programs.Program(lambda x: x + 1)(np.float32(1)) == 2
    assert not list(tmp_path.glob("*.word"))


def test_a_folder_that_others_may_write_or_a_link_is_not_used(folder, tmp_path, monkeypatch):
    word = next((folder / "programs").glob("*.word"))
    (tmp_path / word.name).symlink_to(word)
    with pytest.raises(PermissionError):
        programs._trusted(tmp_path / word.name)
    assert programs._trusted(word)
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs").chmod(0o777)
    assert programs._made(str(tmp_path)) is None


def test_a_folder_that_cannot_be_written_to_is_read(folder, monkeypatch):
    def refused(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "utime", refused)
    assert programs._trusted(next((folder / "programs").glob("*.word")))


def test_a_file_that_vanishes_is_passed_over(tmp_path):
    (tmp_path / "torn").symlink_to(tmp_path / "renamed")
    programs._make_room(tmp_path)


def test_threads_that_compile_leave_the_setting_as_it_was():
    name = "jax_persistent_cache_min_compile_time_secs"
    before, one, two = getattr(jax.config, name), programs._jax_keeps_nothing(), programs._jax_keeps_nothing()
    one.__enter__()
    two.__enter__()
    one.__exit__(None, None, None)
    assert getattr(jax.config, name) == float("inf")
    two.__exit__(None, None, None)
    assert getattr(jax.config, name) == before


def test_what_calls_python_back_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "_folder", lambda: tmp_path)
    shape = jax.ShapeDtypeStruct((), jnp.float32)
    program = programs.Program(lambda x: jax.pure_callback(lambda one: np.float32(one) + 1, shape, x))
    assert program(np.float32(1)) == 2 and not list(tmp_path.iterdir())


def _joined(*calls):
    for thread in programs.rehearse(*calls):
        thread.join()


def test_what_was_rehearsed_is_not_traced_again(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "_folder", lambda: tmp_path)
    traced, seen = [], []

    def halves(x):
        traced.append(1)
        return {"sum": x.sum(), "half": x / 2}

    program, x = programs.Program(halves), np.float32([1, 2])
    _joined(lambda: seen.append(program(x)))
    assert seen[0]["half"].shape == (2,) and not seen[0]["half"].any() and seen[0]["sum"] == 0  # it was not run
    assert float(program(x)["sum"]) == 3 and len(traced) == 1
    again = programs.Program(halves)  # as of another process: what is loaded has a shape, too
    _joined(lambda: seen.append(again(x)))
    assert seen[1]["half"].shape == (2,) and float(again(x)["sum"]) == 3 and len(traced) == 1


def test_who_needs_a_program_that_is_being_rehearsed_waits_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "_folder", lambda: tmp_path)
    made, begun, go_on = [], threading.Event(), threading.Event()
    make = programs.Program._make

    def slowly(self, *given):
        begun.set()
        assert go_on.wait(60)
        made.append(1)
        return make(self, *given)

    monkeypatch.setattr(programs.Program, "_make", slowly)
    program = programs.Program(lambda x: x + 1)
    threads = programs.rehearse(lambda: program(np.float32(1)))
    assert begun.wait(60)
    threading.Timer(0.2, go_on.set).start()
    assert program(np.float32(1)) == 2 and len(made) == 1
    threads[0].join()


def test_a_rehearsal_that_fails_is_nobodys_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "_folder", lambda: tmp_path)
    failing = [True]

    def sometimes(x):
        if failing:
            failing.clear()
            raise ValueError
        return x + 1

    program = programs.Program(sometimes)
    _joined(lambda: program(np.float32(1)))
    assert not failing and program(np.float32(1)) == 2
    monkeypatch.setattr(programs, "_folder", lambda: None)
    assert programs.rehearse(lambda: program(np.float32(1))) == []  # what is not kept would have to be run


def test_a_process_that_ends_begins_no_more_programs(tmp_path):
    code = f"""
import time, numpy as np, jax
jax.config.update("jax_compilation_cache_dir", {str(tmp_path)!r})
from vton_jax.core import programs
slow = programs.Program(lambda x: [time.sleep(0.5), x + 1][1])
programs.rehearse(lambda: [slow(np.zeros(size, np.float32)) for size in range(1, 100)])
time.sleep(0.2)
"""
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "") and time.monotonic() - started < 40
