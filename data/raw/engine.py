"""Runs the work on many videos: local processes, or Apache Beam on many machines.

What is done is a function of one video (`annotate.annotate_video`); the result is a unit in the work folder, which
appears whole or not at all. A run that is killed goes on with the videos that have no unit yet. Processes are spawned,
not forked: JAX's threads do not survive a fork. They use the CPU, one each.
"""

import concurrent.futures
import dataclasses
import functools
import hashlib
import multiprocessing
import multiprocessing.connection
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from data.raw import annotate, units
from vton_jax.command_line import flag_utils
from vton_jax.core.errors import UserError
from vton_jax.media.files import MediaError
from vton_jax.media.progress import Progress
from vton_jax.reading.choice import Choice


@dataclasses.dataclass(frozen=True)
class Execution:
    """How the work is run; the result does not depend on it."""

    work_dir: str | None = None  # where units lie
    workers: int = 0  # local processes; 0: one for each core
    runner: str = "local"  # or the name of a Beam runner
    beam_options: tuple[str, ...] = ()  # further options of Beam


@dataclasses.dataclass(frozen=True)
class Job:
    path: str
    name: str
    unit: str  # the path of the unit


@functools.lru_cache(None)
def _digest(path: Path, size: int, changed: int) -> str:
    del size, changed  # a file that changes is hashed again
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(paths: Sequence[Path]) -> list[str]:
    """SHA-256 of files, several at a time (hashing leaves Python's lock).

    A file that cannot be read has a text of its own instead, so that it is looked at again once it can be.
    """

    def one(path):
        try:
            about = os.stat(path)
            return _digest(path, about.st_size, about.st_mtime_ns)
        except OSError as error:
            return f"unreadable {path}: {error.strerror}"

    with concurrent.futures.ThreadPoolExecutor(min(8, (os.cpu_count() or 1) * 2)) as pool:
        return list(pool.map(one, paths))


def jobs(
    names: Sequence[str], paths: Sequence[Path], contents: Sequence[str], made_by: str, work_dir: Path
) -> list[Job]:
    """A job for each video; a unit's name holds the digest of the content and of what annotates it, and how."""
    out = []
    for name, path, content in zip(names, paths, contents, strict=True):
        stamp = hashlib.sha256(f"{name} {content} {made_by}".encode()).hexdigest()[:24]
        # A folder for each first two digits: file systems are slow with a million files in one.
        out.append(Job(str(path), name, str(work_dir / stamp[:2] / f"{stamp}.npz")))
    return out


def work(job: Job, choice: Choice, settings: annotate.Settings) -> str:
    """Makes the unit of a video, if it is not there; returns the video's name. UserError where it cannot be written."""
    if not os.path.exists(job.unit):
        try:
            unit = annotate.annotate_video(job.path, job.name, _annotators(choice), settings)
        except MediaError as error:
            unit = _rejected(job, str(error))
        except UserError:
            raise
        except Exception as error:  # one video never stops the rest
            unit = _rejected(job, f"could not be annotated ({type(error).__name__}: {error})")
        units.write(Path(job.unit), unit)
    return job.name


def _rejected(job: Job, reason: str) -> units.Unit:
    # The folder is no property of the video, and the lists should not depend on it.
    return units.Unit(job.name, reason.replace(job.path, job.name), "", 0, 0, [], [])


@functools.lru_cache(1)
def _annotators(choice: Choice):
    _single_threaded()
    return choice.load()


def _single_threaded() -> None:
    """One thread and the CPU for this process: workers are as many as cores, and sums are added in one order."""
    import cv2
    import jax

    flag = "--xla_cpu_multi_thread_eigen=false"
    if flag not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
    jax.config.update("jax_platforms", "cpu")
    cv2.setNumThreads(1)


def _die_with_parent() -> None:
    """A worker whose parent is killed would wait for work for ever."""
    parent = multiprocessing.parent_process()

    def watch():
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def run(todo: Iterable[Job], choice: Choice, settings: annotate.Settings, execution: Execution) -> None:
    """Makes all units that are missing. Raises UserError where they cannot be written."""
    todo = [job for job in todo if not os.path.exists(job.unit)]
    if not todo:
        return
    if execution.runner == "local":
        units.sweep(Path(todo[0].unit).parent.parent)
        function = functools.partial(work, choice=choice, settings=settings)
        run_locally(todo, function, execution.workers, rejected=_died)
    else:
        _run_on_beam(todo, choice, settings, execution)


def run_locally(todo: list, function: Callable, workers: int = 0, *, unit: str = "step", rejected=None) -> None:
    """Calls `function` with all jobs whose file `job.unit` is missing, in processes of its own.

    Args: workers: processes, 0 for one each core. unit: what progress counts. rejected: what writes the file of a job
    of which a process died, twice; without it that is a UserError.
    """
    todo, workers = [job for job in todo if not os.path.exists(job.unit)], workers or os.cpu_count() or 1
    progress, done, shown = Progress(len(todo), unit=unit), 0, time.monotonic()
    while todo:
        suspects = []
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(min(workers, len(todo)), context, _die_with_parent) as pool:
            waiting, rest, broken = {}, iter(todo), False
            try:
                while not broken:
                    for job in rest:
                        waiting[pool.submit(function, job)] = job
                        if len(waiting) >= 2 * workers:  # a million futures would be a heap
                            break
                    if not waiting:
                        break
                    ready, _ = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
                    for future in ready:
                        try:
                            future.result()
                        except BrokenProcessPool:
                            broken = True
                            continue
                        waiting.pop(future)
                        done += 1
                        progress.advance(done)
                    if time.monotonic() - shown > 10:
                        shown = time.monotonic()
                        progress.show(done, {})
            except BrokenProcessPool:
                broken = True
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                progress.close()
                raise
            if broken:
                suspects = list(waiting.values())
        done += _one_by_one(suspects, function, rejected)
        todo = [job for job in todo if not os.path.exists(job.unit)]
    progress.close()


def _died(job: Job) -> None:
    units.write(Path(job.unit), _rejected(job, "the process that read it died, twice"))


def _one_by_one(suspects: list, function: Callable, rejected: Callable | None) -> int:
    """A worker died of one of these jobs: each gets a process of its own, and the one that dies again is rejected."""
    for job in suspects:
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(1, context, _die_with_parent) as pool:
            try:
                pool.submit(function, job).result()
            except BrokenProcessPool:
                if rejected is None:
                    raise UserError(f"A process died of {job.unit}, twice; it may need more memory.") from None
                rejected(job)
    return len(suspects)


def _run_on_beam(todo: list[Job], choice: Choice, settings: annotate.Settings, execution: Execution) -> None:
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError:
        raise UserError("--runner needs Apache Beam; run `pip install vton-jax[beam]`.") from None
    options = PipelineOptions([f"--runner={execution.runner}", *execution.beam_options])
    try:
        with beam.Pipeline(options=options) as pipeline:
            videos = pipeline | "videos" >> beam.Create(todo) | "spread" >> beam.Reshuffle()
            _ = videos | "annotate" >> beam.Map(work, choice=choice, settings=settings)
    except Exception as error:
        inner = error
        while inner is not None and not flag_utils.is_user_error(inner):
            inner = inner.__cause__ or inner.__context__
        raise inner or error from None
