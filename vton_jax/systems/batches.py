"""Many try-ons in one run: the rows of a table, made one after another, and a manifest of what was made.

    for outcome in Batch(job_tables.read("jobs.csv"), "jobs.csv").outcomes():
        ...

Rows of the same system options share a system with its compiled programs; files and readings that several rows need are
kept (`remembering`). A row that cannot be made is an outcome like others. A row whose outputs are there, and whose last
entry in the manifest was made from the same contents of files, options, weights and version, is not made again.

The manifest, NAME.manifest.jsonl beside NAME.csv, has a line of JSON for each row that was made or failed, appended
when it was: `line`, `output`, `state` (made, failed), `seconds`, and `digest`, `frames`, `read`, `notes` or `error`.
"""

import collections
import contextlib
import dataclasses
import hashlib
import json
import os
import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from vton_jax import systems
from vton_jax.core import files
from vton_jax.core.errors import Cancelled, UserError
from vton_jax.media.files import MediaError, existing_file
from vton_jax.models import weights
from vton_jax.systems import pictures as picture_files
from vton_jax.systems.job import Reading, TryOnJob
from vton_jax.systems.job_tables import Row
from vton_jax.systems.options import JobOptions, SystemOptions
from vton_jax.systems.protocol import TryOnSystem
from vton_jax.systems.remembering import Memory, RememberingSystem

_SYSTEM = tuple(field.name for field in dataclasses.fields(SystemOptions))
_FILES = ("person", "garment", "garment_mask", "pose", "weights")  # whose contents count, not their names


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a row."""

    row: Row
    state: Literal["made", "kept", "failed"]  # kept: it was made before
    seconds: float
    digest: str | None = None
    frames: int = 0
    read: tuple[str, ...] = ()  # what pictures were taken for
    notes: tuple[str, ...] = ()
    error: str | None = None
    trace: str | None = None  # of an error that no user can mend


class Manifest:
    """What was made, a line of JSON each; outputs are relative to its folder. Args: table: beside which it lies."""

    def __init__(self, table: str | Path):
        self.path = Path(table).with_suffix(".manifest.jsonl")
        self._last: dict[str, dict] = {}
        lines = self.path.read_bytes().split(b"\n") if self.path.exists() else []
        for line in lines:
            with contextlib.suppress(ValueError, TypeError, KeyError):  # the last line of a run that was killed
                entry = json.loads(line)
                self._last[entry["output"]] = entry
        self._torn = bool(lines and lines[-1])

    def made(self, row: Row, digest: str) -> bool:
        """Whether a row was made with this digest, and its files are there."""
        entry = self._last.get(self._name(row), {})
        there = entry.get("state") == "made" and entry.get("digest") == digest
        return there and all(path.is_file() for path in row.written())

    def add(self, outcome: Outcome) -> None:
        """Appends what was made or failed. Raises: UserError where it cannot be written."""
        row = outcome.row
        entry = {"line": row.line, "output": self._name(row), "state": outcome.state, "digest": outcome.digest}
        entry |= {"seconds": round(outcome.seconds, 3), "frames": outcome.frames or None}
        entry |= {"read": outcome.read, "notes": outcome.notes, "error": outcome.error, "trace": outcome.trace}
        text = json.dumps({name: value for name, value in entry.items() if value})
        with files.writing(self.path), open(self.path, "ab") as file:
            file.write(b"\n" * self._torn + text.encode() + b"\n")
        self._torn = False

    def _name(self, row: Row) -> str:
        return "" if row.output is None else Path(os.path.relpath(row.output, self.path.parent)).as_posix()


class _Contents:
    """Digests of files, each read once as long as it does not change."""

    def __init__(self):
        self._memory = Memory()

    def of(self, path: Path) -> str:
        return self._memory.call_on_file(_content, existing_file(path))

    def of_row(self, row: Row, options: JobOptions) -> str:
        """The digest of all that a row's clip depends on. Raises: MediaError for a file that is missing."""
        inputs = {name: [self.of(path) for path in paths] for name, paths in row.inputs().items()}
        folder = Path(options.weights or weights.FOLDER)
        networks = {path.name: self.of(path) for path in sorted(folder.glob("*.safetensors"))}
        asked = {name: value for name, value in vars(options).items() if name not in _FILES}
        about = [metadata.version("vton-jax"), asked, inputs, networks]
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _content(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise MediaError(f"{path} cannot be read ({error.strerror}); check its permissions") from error


class _RowJob(TryOnJob):
    """A job whose files are kept. Args: memory: where."""

    def __init__(self, options: JobOptions, system: TryOnSystem, memory: Memory):
        super().__init__(options, system=system)
        self._memory = memory

    def pictures(self) -> picture_files.Pictures:
        return picture_files.read(self.options, self._memory.call_on_file)


class _Worker:
    """Makes rows on one device, and keeps one system. Args: device: None: JAX's own choice."""

    def __init__(self, device: jax.Device | None, memory: Memory, create: Callable[[SystemOptions], TryOnSystem]):
        self.device, self.memory, self.create = device, memory, create
        self._stopped = threading.Event()
        self._name: tuple | None = None
        self._system: TryOnSystem | None = None
        self._job: TryOnJob | None = None

    def write(self, row: Row) -> tuple[int, Reading]:
        """Writes a row's clip and sheet: how many frames, and what was read. Raises: what `TryOnJob.write` does."""
        seen = []
        with contextlib.nullcontext() if self.device is None else jax.default_device(self.device):
            options = resolved(row.options)
            self._job = _RowJob(options, self._system_of(options), self.memory)
            if self._stopped.is_set():
                raise Cancelled
            written = self._job.write(row.output, when_read=seen.append)
        return written.num_frames, seen[0]

    def cancel(self) -> None:
        """Lets this row, and whatever row comes next, end with `Cancelled`; from any thread."""
        self._stopped.set()
        job = self._job
        if job is not None:
            job.cancel()

    def _system_of(self, options: JobOptions) -> TryOnSystem:
        name = _system_name(options)
        if name != self._name:
            self._name = self._system = self._job = None  # before the next one needs the memory
            self._system = RememberingSystem(self.create(options), self.memory, name)
            self._name = name
        return self._system


def resolved(options: JobOptions) -> JobOptions:
    """Options as a job takes them: systems understand `auto` in their own way."""
    return TryOnJob(options).options


def _system_name(options: JobOptions) -> tuple:
    """What resolved options have in common that share a system."""
    return tuple(getattr(options, name) for name in _SYSTEM)


class Batch:
    """The rows of a table.

    Args: rows: in any order; rows that share a system are made together. table: the file that they stand in, beside
    which the manifest lies. remake: whether what was made before is made again. say: what is said of an error.
    create: makes a system. devices: rows are divided among them; by default all local ones.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        table: str | Path,
        *,
        remake: bool = False,
        say: Callable[[BaseException], str] = str,
        create: Callable[[SystemOptions], TryOnSystem] = systems.create,
        devices: Sequence[jax.Device] | None = None,
    ):
        order: dict[Any, int] = {}
        name = lambda row: None if row.options is None else _system_name(resolved(row.options))  # noqa: E731
        self.rows = sorted(rows, key=lambda row: order.setdefault(name(row), len(order)))
        self.manifest = Manifest(table)
        self._remake, self._say, self._contents = remake, say, _Contents()
        devices = jax.local_devices() if devices is None else devices
        memory = Memory()
        self._workers = [_Worker(device if len(devices) > 1 else None, memory, create) for device in devices]
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)

    def outcomes(self) -> Iterator[Outcome]:
        """What becomes of each row, once, as they are made, written to the manifest first.

        Whoever stops asking cancels the rest. Raises: UserError where the manifest cannot be written.
        """
        with futures.ThreadPoolExecutor(len(self._workers)) as pool:
            made = [pool.submit(self._outcome, row) for row in self.rows]
            try:
                for future in futures.as_completed(made):
                    outcome = future.result()
                    if outcome.state != "kept":
                        self.manifest.add(outcome)
                    yield outcome
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
                for worker in self._workers:
                    worker.cancel()

    def _outcome(self, row: Row) -> Outcome:
        """Makes a row, if need be. Raises: Cancelled."""
        started, digest, worker = time.monotonic(), None, self._idle.get()
        passed = lambda: time.monotonic() - started  # noqa: E731
        try:
            if row.problem is not None:
                raise row.problem
            digest = self._contents.of_row(row, resolved(row.options))
            if not self._remake and self.manifest.made(row, digest):
                return Outcome(row, "kept", passed(), digest)
            frames, reading = worker.write(row)
            read = tuple(said.what.line(said.file) for said in reading.said)
            return Outcome(row, "made", passed(), digest, frames, read, reading.notes)
        except Cancelled:
            raise
        except UserError as error:
            return Outcome(row, "failed", passed(), digest, error=self._say(error))
        except Exception as error:  # one row's accident should not end a night's work
            text = f"Unexpected {type(error).__name__}: {' '.join(str(error).split())}"
            return Outcome(row, "failed", passed(), digest, error=text, trace=traceback.format_exc())
        finally:
            self._idle.put(worker)


def summary(outcomes: Sequence[Outcome], seconds: float) -> str:
    """A line for all that was done in `seconds`: how many rows were made, kept and failed, and what one cost."""
    count = collections.Counter(outcome.state for outcome in outcomes)
    made = [outcome.seconds for outcome in outcomes if outcome.state == "made"]
    line = f"{count['made']} row{'s' * (count['made'] != 1)} in {seconds:.1f} s"
    if made:
        line += f", {seconds / len(made):.2f} s a row (median {np.median(made):.2f} s)"
    if count["kept"]:
        line += f"; {count['kept']} made before"
    return line + f"; {count['failed']} failed" * bool(count["failed"])
