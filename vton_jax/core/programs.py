"""Compiled programs that later processes find ready: `jax.jit` without its tracing, lowering and compiling.

    @programs.compiled(static=0)
    def encode(network, params, images): ...

A hit in JAX's cache of compiled programs still pays tracing and lowering, most of the time of a start. Where that cache
has a folder (`jax_compilation_cache_dir`), these executables lie in `programs` in it, by what XLA was given. A word
beside them says which one belongs to this package's sources, the versions of what it is made with, the processor, and
the shapes of the arguments: who finds it traces nothing. They are read only from files that nobody but their owner may
write: loading one is running it.

Only processes with a single CPU device keep programs; elsewhere, and inside other programs, this is `jax.jit`.
"""

import atexit
import contextlib
import contextvars
import functools
import hashlib
import os
import pickle
import re
import stat
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax.experimental import serialize_executable

from vton_jax.core import files, machine
from vton_jax.core.errors import UserError

_PACKAGE = Path(__file__).resolve().parents[1]
_MOST_BYTES = 1_000_000_000  # of programs that are kept
_LOCK, _COMPILING = threading.Lock(), []
_REHEARSED = contextvars.ContextVar("rehearsed", default=False)
_REHEARSALS: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
_LEFT_OFF = threading.Event()
_LIBRARIES = ("jax", "jaxlib", "flax", "optax", "numpy")
# YNNPACK, which jaxlib 0.10 gives convolutions to, is slower than XLA's own code at this project's shapes: 72 against
# 62 ms a pass of TripleGuidedCNN, 37 against 32 for the gradient of a layout (benchmarks/convolutions.py networks), and
# 2 to 5 times as slow for the gradient of a kernel (24 against 129 GFLOP/s on one core, 96 channels, 48 images).
_CPU = {"xla_cpu_experimental_ynn_fusion_type": ""}
# Of some hundred small steps XLA's newer code takes longer to compile and to run: the coarse map 4.5 against 3.0 s and
# 99 against 89 ms, bodies 1.6 against 0.8 s (one core). Networks are a tenth slower without it.
_MANY_STEPS = {"xla_cpu_use_fusion_emitters": False}


@functools.cache
def compiler_options() -> dict[str, str]:
    """`compiler_options` for `jax.jit` on the default backend; empty where XLA knows them not.

    Measured by benchmarks/train_step.py and benchmarks/convolutions.py; docs/benchmarks.md has the numbers.
    """
    if jax.default_backend() != "cpu":
        return {}
    try:
        jax.jit(lambda: 0, compiler_options=_CPU).lower().compile()
    except jax.errors.JaxRuntimeError:  # another jaxlib, other options
        return {}
    return _CPU


def rehearse(*calls: Callable[[], object]) -> list[threading.Thread]:
    """Calls functions beside what comes before them, each in a thread: programs that they call get ready, and give
    zeros without running. Where no programs are kept, nothing happens.

    What fails is left to whoever calls the programs in earnest. A process that ends waits for the programs that threads
    are at, and no others. Returns: the threads.
    """
    if _folder() is None:
        return []
    threads = [threading.Thread(target=_rehearsed, args=(call,), daemon=True) for call in calls]
    for thread in threads:
        thread.start()
        _REHEARSALS.add(thread)
    return threads


def _rehearsed(call: Callable[[], object]) -> None:
    _REHEARSED.set(True)
    with contextlib.suppress(Exception):
        call()


@atexit.register
def _leave_off() -> None:
    """XLA must not compile while the process is taken down."""
    _LEFT_OFF.set()
    for thread in list(_REHEARSALS):
        thread.join()


class _Ready(NamedTuple):
    """A program, or the promise of one."""

    out: object  # tree of what it gives, shapes and types
    program: "Future[Callable]"


def compiled(*, static: int | Sequence[int] = (), many_steps: bool = False) -> Callable[[Callable], "Program"]:
    """A decorator: the function becomes a `Program`. Args: as there."""
    return lambda function: Program(function, static=static, many_steps=many_steps)


class Program:
    """A function, compiled for the arguments it is called with.

    Args: function: pure, of positional arguments. static: the numbers of those that are no arrays: what the program
    depends on besides the sources, with a `repr` that says all of it. also: what else it depends on, such as the
    weights that it closes over. many_steps: it is many small steps and no network, see `_MANY_STEPS`.
    """

    def __init__(
        self, function: Callable, *, static: int | Sequence[int] = (), also: str = "", many_steps: bool = False
    ):
        functools.update_wrapper(self, function)
        self._static = (static,) if isinstance(static, int) else tuple(static)
        self._function, self._also, self._options = function, also, _MANY_STEPS if many_steps else {}
        self._ready: dict[tuple, Future[_Ready]] = {}
        self._lock = threading.Lock()

    @functools.cached_property
    def _jitted(self):
        return self._jit(self._function)

    @functools.cached_property
    def _kept(self):
        # A name of its own: JAX's cache has nothing by it. What JAX has loaded cannot be serialised again.
        function = functools.wraps(self._function)(lambda *arguments: self._function(*arguments))
        function.__name__ = function.__qualname__ = f"kept_{self.__name__.strip('_<>')}"
        return self._jit(function)

    def _jit(self, function: Callable):
        # Unused arguments are kept: what XLA is given would not tell which of them a program takes.
        options = compiler_options() and compiler_options() | self._options
        return jax.jit(function, static_argnums=self._static, compiler_options=options, keep_unused=True)

    def __call__(self, *arguments):
        static = tuple(arguments[number] for number in self._static)
        dynamic = tuple(one for number, one in enumerate(arguments) if number not in self._static)
        leaves, tree = jax.tree.flatten(dynamic)
        if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):  # part of another program
            return jax.jit(self._function, static_argnums=self._static)(*arguments)
        if (folder := _folder()) is None:
            return self._jitted(*arguments)
        signature, rehearsed = (static, tree, tuple(map(_kind, leaves))), _REHEARSED.get()
        if rehearsed and _LEFT_OFF.is_set():
            raise RuntimeError("the process ends")
        ready = self._get_ready(signature, lambda: self._prepare(folder, signature, arguments, dynamic))
        if rehearsed:
            return jax.tree.map(lambda one: np.zeros(one.shape, one.dtype), ready.out)
        return ready.program.result()(*dynamic)

    def _get_ready(self, signature: tuple, prepare: Callable) -> "_Ready":
        """The program of a signature, which one thread prepares; others that ask meanwhile get its promise."""
        with self._lock:
            mine = signature not in self._ready
            promise = self._ready.setdefault(signature, Future())
        if not mine:
            return promise.result()
        try:
            out, make = prepare()
            ready = _Ready(out, Future())
            promise.set_result(ready)
            ready.program.set_result(make())
        except BaseException as error:  # whoever asks next tries anew
            del self._ready[signature]
            (ready.program if promise.done() else promise).set_exception(error)
            raise
        return ready

    def _prepare(
        self, folder: Path, signature: tuple, arguments: tuple, dynamic: tuple
    ) -> tuple[object, Callable[[], Callable]]:
        """(what the program for `arguments` gives, what loads it or compiles it and keeps it)."""
        words = _plain((self.__module__, self.__qualname__, self._also, self._options, _made_with(), *signature))
        short = self.__name__.strip("_<>")
        word = folder / f"{short}-{_digest(words)}.word"
        if (found := _load(word, dynamic)) is not None:
            return found[0], lambda: found[1]
        lowered = self._kept.lower(*arguments)
        out = jax.tree.map(lambda one: jax.ShapeDtypeStruct(one.shape, one.dtype), lowered.out_info)
        return out, lambda: self._make(folder, word, signature, lowered, out, dynamic)

    def _make(self, folder: Path, word: Path, signature: tuple, lowered, out, dynamic: tuple) -> Callable:
        """Compiles what was lowered, and keeps it."""
        short = self.__name__.strip("_<>")
        # What XLA is given outlives the sources: most changes of these do not change it.
        given = _digest(_plain((_settings(), self._options, *signature[1:])) + lowered.as_text())
        word_says = pickle.dumps((f"{short}-{given}.program", out))
        there = (folder / f"{short}-{given}.program").exists() and _keep_word(word, word_says)
        if there and (found := _load(word, dynamic)) is not None:
            return found[1]
        with _jax_keeps_nothing():
            made = lowered.compile()
        try:
            payload, _, _ = serialize_executable.serialize(made)
        except Exception:  # it calls Python back, for one: no other process can have it
            return made
        if _keep(folder / f"{short}-{given}.program", payload):
            _keep_word(word, word_says)
        return made


def _folder() -> Path | None:
    """Where programs are kept; None where they are not."""
    given = jax.config.jax_compilation_cache_dir
    if not given or "://" in given or jax.default_backend() != "cpu" or jax.local_device_count() > 1:
        return None
    return _made(given)


@functools.cache
def _made(given: str) -> Path | None:
    folder = Path(given) / "programs"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _require_own(folder.stat())
        _make_room(folder)
    except OSError:
        return None
    return folder


def _make_room(folder: Path) -> None:
    """Removes what was not used for the longest time, where programs take too much."""
    about = []
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process has just renamed it
            about.append((path, path.stat()))
    total = sum(one.st_size for _, one in about)
    for path, one in sorted(about, key=lambda pair: pair[1].st_mtime):
        if total <= _MOST_BYTES:
            return
        path.unlink(missing_ok=True)
        total -= one.st_size


def _read_sources() -> str:
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_SOURCES = _read_sources()  # as they are imported, not as they will be


@functools.cache
def _libraries() -> list[str]:
    return [sys.version, *(f"{name} {metadata.version(name)}" for name in _LIBRARIES)]


def _made_with() -> str:
    """Stands for the package's sources and what programs are made with."""
    return repr((_SOURCES, _libraries(), _settings()))


def _settings() -> tuple:
    """What programs depend on besides what XLA is given."""
    names = ("jax_enable_x64", "jax_default_matmul_precision", "jax_numpy_dtype_promotion", "jax_debug_nans")
    set_so = (getattr(jax.config, name) for name in names)
    return *set_so, _CPU, os.environ.get("XLA_FLAGS", ""), os.cpu_count(), *_machine()


@functools.cache
def _machine() -> tuple[str, str]:
    return machine.processor(), metadata.version("jaxlib")


def _plain(what: tuple) -> str:
    """A `repr` that says the same in every process."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(what))


def _digest(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()[:24]


def _kind(leaf) -> tuple:
    """What a program depends on of an argument."""
    try:
        return leaf.shape, leaf.dtype, getattr(leaf, "weak_type", False)
    except AttributeError:
        return (type(leaf).__name__,)  # a number


def _load(word: Path, dynamic: tuple) -> tuple[object, Callable] | None:
    """(what it gives, the program) that a word names, for arguments; None where there is none that can be trusted and
    used."""
    try:
        name, out = pickle.loads(_trusted(word))
        payload = _trusted(word.parent / name)
        if b"lapack_" in payload:
            _ready_lapack()
        in_tree, out_tree = jax.tree.structure((dynamic, {})), jax.tree.structure(out)
        return out, serialize_executable.deserialize_and_load(payload, in_tree, out_tree)
    except Exception:  # none there, torn, or of another make: it is made anew
        return None


def _trusted(path: Path) -> bytes:
    """A file's bytes. Raises: OSError where others may have written it."""
    _require_own(path.lstat())
    with contextlib.suppress(OSError):  # of a folder that cannot be written to
        os.utime(path)
    return path.read_bytes()


def _require_own(about: os.stat_result) -> None:
    if stat.S_ISLNK(about.st_mode):
        raise PermissionError("a link")
    if hasattr(os, "getuid") and (about.st_uid != os.getuid() or about.st_mode & 0o022):
        raise PermissionError("others may write it")


@functools.cache
def _ready_lapack() -> None:
    """Lowering a program that calls LAPACK finds its functions; one that is only loaded would jump to nowhere."""
    jax.jit(jax.lax.linalg.cholesky).lower(np.eye(2, dtype=np.float32))


@contextlib.contextmanager
def _jax_keeps_nothing() -> Iterator[None]:
    """JAX's own cache stays out: a program is kept once. Several threads may compile at once; the setting is theirs
    together."""
    name = "jax_persistent_cache_min_compile_time_secs"
    with _LOCK:
        _COMPILING.append(_COMPILING[0] if _COMPILING else getattr(jax.config, name))
        jax.config.update(name, float("inf"))
    try:
        yield
    finally:
        with _LOCK:
            before = _COMPILING.pop()
            if not _COMPILING:
                jax.config.update(name, before)


def _keep_word(path: Path, data: bytes) -> bool:
    """`_keep`, unless the sources have changed since they were imported: it would be the word of others."""
    return _read_sources() == _SOURCES and _keep(path, data)


def _keep(path: Path, data: bytes) -> bool:
    """Writes a file that is its owner's alone; whether that worked."""
    opener = lambda name, how: os.open(name, how, 0o600)  # noqa: E731
    try:
        with files.replacing(path) as temporary, open(temporary, "xb", opener=opener) as file:
            file.write(data)
    except (UserError, OSError):
        return False
    return True
