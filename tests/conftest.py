"""Shared fixtures. The tests run on the CPU whatever accelerators there are: they check meaning, not speed."""

import contextlib
import gc
import hashlib
import importlib.util
import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Most of the time goes into compiling: programs that are ready in a quarter of the time may run slower.
FAST_COMPILATION = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
os.environ.setdefault("XLA_FLAGS", FAST_COMPILATION)
# Two processes on two cores: threads of small matrix products would only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def pytest_configure(config):
    """All files of tests, side by side in several processes or not, and the processes that they start, compile a
    program once; `--cache-clear` begins with none."""
    # Tracing makes many objects that live on: looking through them for garbage as often as Python does takes a sixth
    # of the tests' time.
    gc.set_threshold(100_000, 20, 100)
    folder = config.cache.mkdir("compiled_programs") if hasattr(config, "cache") else None
    if folder:
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")


# Files with tests that take long, whatever runs beside them, the longest first.
LONG = (
    "test_notebook.py",
    "data/test_raw_videos.py",
    "systems/test_lab126.py",
    "training/test_recipes.py",
    "training/test_sharding.py",
    "compositing/test_normalisation.py",
)


def pytest_collection_modifyitems(items):
    """Long files first, so that no process ends with one alone: in turn before the first half of the others and before
    the second, with which a second process begins.
    """
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONG)}
    long = sorted((item for item in items if item.path in places), key=lambda item: places[item.path])
    others = [item for item in items if item.path not in places]
    one, two = ([item for item in long if places[item.path] % 2 == turn] for turn in (0, 1))
    half = max(len(items) // 2 - len(one), 0)  # a process is given half of all tests
    items[:] = one + others[:half] + two + others[half:]


@pytest.fixture(scope="session", autouse=True)
def read_once():
    """ReaderCNN, which is a pure function, looks at the same frames once a process: many tests read the sample."""
    import jax
    import numpy as np

    from vton_jax.reading.picture_reader import PictureReader

    look, kept = PictureReader.frames, {}

    def frames(self, frames, *, mirrored=False):
        frames = np.asarray(frames)
        key = self.name, mirrored, frames.shape, hashlib.sha256(np.ascontiguousarray(frames)).digest()
        if (found := kept.get(key)) is None:
            if sum(one.labels.nbytes for one in list(kept.values())) > 2**28:
                kept.clear()
            found = kept[key] = look(self, frames, mirrored=mirrored)
        return jax.tree.map(np.copy, found)  # a test may write to its own

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PictureReader, "frames", frames)
        yield


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real photos and clips that VTON_JAX_TEST_DATA names; without it the test is skipped."""
    folder = os.environ.get("VTON_JAX_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("VTON_JAX_TEST_DATA names no folder of test data")
    return Path(folder)


@pytest.fixture(scope="session")
def drawn_cases() -> dict:
    """Eight evaluation cases of the catalogue's validation split, 256x192; nobody may write to them."""
    from vton_jax.catalogue import cases

    return cases.draw_cases(8, (256, 192), "validation")


@pytest.fixture
def train_script():
    """Runs train.py in this process: train_script('--flag', ...)."""
    from absl import flags
    from absl.testing import flagsaver

    from vton_jax import train
    from vton_jax.command_line import flag_utils

    with contextlib.suppress(ImportError):
        import grain  # noqa: F401  imported before flagsaver looks: it would delete the flags that Grain defines later

    def run(*arguments):
        with flagsaver.flagsaver():
            flag_utils.run(train.main, train.define_more_flags, ["train.py", *map(str, arguments)])

    yield run
    flags.FLAGS.unparse_flags()


@pytest.fixture
def train(train_script, monkeypatch, tmp_path):
    """`train_script` with the tiny task: train('--flag', ..., source=...) -> the folder of the run."""
    import tiny_training

    from vton_jax.inputs import input_pipeline
    from vton_jax.tasks import TASKS

    monkeypatch.setitem(TASKS, "tiny", tiny_training.TinyTask)

    def run(*arguments, source=tiny_training.memory_source, name="run"):
        if source:  # None: as --dataset says
            monkeypatch.setattr(input_pipeline, "open_batches", lambda _, size, seed, *rest, **more: source(size, seed))
        train_script("--model=tiny", *tiny_training.command(tmp_path / name, *arguments)[2:])
        return tmp_path / name

    return run


@pytest.fixture
def command(monkeypatch):
    """Runs an entry point in this process, with flags of its own: command('vton_jax.render', '--flag', ...)."""
    import own_flags

    from vton_jax.command_line import flag_utils

    def run(name, *arguments):
        with own_flags.fresh():
            spec = importlib.util.find_spec(name)
            module = importlib.util.module_from_spec(spec)
            monkeypatch.setitem(sys.modules, name, module)
            spec.loader.exec_module(module)
            more = getattr(module, "define_more_flags", None)
            flag_utils.run(module.main, more, [name, *map(str, arguments)])

    return run
