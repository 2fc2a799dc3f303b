"""Jobs of the studio: one machine, several people. Jobs wait in a queue, report progress and can be cancelled.

Conventions: a job's id cannot be guessed, and whoever knows it may see and cancel the job. What a job reads and writes
lies in its own folder, which is removed some time after its end.
"""

import collections
import contextlib
import dataclasses
import secrets
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from vton_jax.command_line import allocator
from vton_jax.core.errors import Cancelled, UserError

State = Literal["waiting", "running", "done", "failed", "cancelled"]
ENDED: tuple[State, ...] = ("done", "failed", "cancelled")
_FAULT = "Something went wrong within the studio; it has been written down. Try again, or with other pictures."


class NoSuchJob(UserError):
    """An id that no job has, or has no more."""

    def __init__(self):
        super().__init__("There is no such job; results are removed after a while.")


class QueueFull(UserError):
    """More jobs than may wait."""

    def __init__(self, waiting: int):
        super().__init__(f"{waiting} jobs are waiting already; try again later.")


@dataclasses.dataclass(eq=False)
class Job:
    """One piece of work. `step` is its progress callback; it raises `Cancelled` after `cancel`."""

    id: str
    folder: Path
    work: Callable[["Job"], dict[str, Any]] | None
    state: State = "waiting"
    stage: str = ""
    done: int = 0
    total: int = 0
    error: str = ""
    notes: tuple[str, ...] = ()
    result: dict[str, Any] = dataclasses.field(default_factory=dict)  # what `work` returned
    kept: Any = None  # what later jobs go on from
    after: "Job | None" = None  # whose files it goes on with: they stay as long as this job does
    session: Any = None  # of a live job: what its frames come and go by
    ended: float = 0.0  # by the monotonic clock
    wanted: bool = True  # whether it has not been cancelled
    idle: bool = False  # whether it gives way to all others

    def step(self, stage: str, done: int, total: int) -> None:
        """Says how far the work is. Raises: Cancelled."""
        if not self.wanted:
            raise Cancelled
        self.stage, self.done, self.total = stage, done, total


class Jobs:
    """A queue with one worker, and the jobs that have ended.

    Args: folder: in which each job gets a folder. keep: seconds that an ended job is kept. max_waiting: jobs in the
    queue at most. max_kept: jobs at most, those that ended last, whose `kept` stays in memory.
    """

    def __init__(self, folder: Path, keep: float = 3600, max_waiting: int = 50, max_kept: int = 20):
        self.folder, self.keep, self.max_waiting, self.max_kept = folder, keep, max_waiting, max_kept
        self._jobs: dict[str, Job] = {}
        self._waiting: collections.deque[Job] = collections.deque()
        self._running: Job | None = None
        self._idle: Callable[[Job], dict[str, Any]] | None = None  # done when nobody waits
        self._changed = threading.Condition()
        self._closed = False
        self._worker = threading.Thread(target=self._run, name="studio jobs", daemon=True)
        self._worker.start()

    def new(self) -> Job:
        """A job with a folder for what it needs, not yet in the queue. Raises: QueueFull."""
        with self._changed:
            self._remove_old()
            if len(self._waiting) >= self.max_waiting:
                raise QueueFull(len(self._waiting))
        job = self._made(secrets.token_urlsafe(16))
        job.ended = time.monotonic()  # files of a job that is never put in do not stay for ever
        with self._changed:
            self._jobs[job.id] = job
        return job

    def put(self, job: Job, work: Callable[[Job], dict[str, Any]]) -> Job:
        """Puts a job into the queue. `work(job)` returns the result; it runs alone, in the worker's thread."""
        with self._changed:
            job.work = work
            self._waiting.append(job)
            if self._running is not None and self._running.idle:
                self._running.wanted = False
            self._changed.notify_all()
        return job

    @contextlib.contextmanager
    def prepared(self) -> Iterator[Job]:
        """A new job, which is removed again if what it needs cannot be had. Raises: QueueFull."""
        job = self.new()
        try:
            yield job
        except BaseException:
            with self._changed:
                self._forget(job)
            raise

    def when_idle(self, work: Callable[[Job], dict[str, Any]]) -> None:
        """Work to be done once, when nobody waits, and given up as soon as somebody comes."""
        with self._changed:
            self._idle = work
            self._changed.notify_all()

    def add_done(self, name: str, result: dict[str, Any], notes: tuple[str, ...] = ()) -> Job:
        """A job that has ended before it began, and is kept for ever."""
        job = Job(name, self.folder, None, state="done", result=result, notes=notes, ended=float("inf"))
        with self._changed:
            self._jobs[name] = job
        return job

    def get(self, name: str) -> Job:
        """The job of an id. Raises: NoSuchJob."""
        with self._changed:
            self._remove_old()
            if name not in self._jobs:
                raise NoSuchJob
            return self._jobs[name]

    def place(self, job: Job) -> int:
        """How many jobs come first; 0 of one that runs or has ended."""
        with self._changed:
            if job not in self._waiting:
                return 0
            busy = self._running is not None and not self._running.idle
            return self._waiting.index(job) + busy

    def cancel(self, job: Job) -> None:
        """Takes a job out of the queue, or lets it end at its next step."""
        with self._changed:
            job.wanted = False
            if job in self._waiting:
                self._waiting.remove(job)
                self._end(job, "cancelled")

    def close(self) -> None:
        """Ends the worker after its next step, and removes all files."""
        with self._changed:
            self._closed = True
            for job in (*self._waiting, self._running):
                if job is not None:
                    job.wanted = False
            self._changed.notify_all()
        self._worker.join(timeout=10)
        for job in list(self._jobs.values()):
            self._forget(job)

    def _made(self, name: str) -> Job:
        folder = self.folder / name
        folder.mkdir(parents=True, mode=0o700)
        return Job(name, folder, None)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._closed or self._waiting or self._idle):
                    self._changed.wait(timeout=60)
                    if self._remove_old():
                        allocator.give_back_freed_memory()
                if self._closed:
                    return
                if self._waiting:
                    job = self._waiting.popleft()
                else:
                    job = self._made(secrets.token_urlsafe(16))
                    job.work, job.idle, self._idle = self._idle, True, None
                job.state, self._running = "running", job
            self._do(job)
            with self._changed:
                self._running = None
                if job.idle:
                    self._forget(job)
            del job  # nor would what it held be freed while the worker waits for the next
            allocator.give_back_freed_memory()

    def _do(self, job: Job) -> None:
        try:
            job.result = job.work(job)
            state = "done"
        except Cancelled:
            state = "cancelled"
        except UserError as error:
            job.error, state = (
                str(error).replace(f"{job.folder}/", ""),
                "failed",
            )  # where files lie is nobody's business
        except Exception:
            traceback.print_exc(file=sys.stderr)
            job.error, state = _FAULT, "failed"
        with self._changed:
            self._end(job, state)

    def _end(self, job: Job, state: State) -> None:
        job.state, job.ended, job.work = state, time.monotonic(), None
        keep = [one for one in self._jobs.values() if one.kept is not None and one.work is None]
        for old in sorted(keep, key=lambda one: one.ended)[: -self.max_kept]:
            old.kept = None

    def _remove_old(self) -> bool:
        """Whether there was something to remove."""
        latest = time.monotonic() - self.keep
        needed = {job.after for job in self._jobs.values()}
        old = [job for job in self._jobs.values() if job.work is None and job.ended < latest and job not in needed]
        for job in old:
            self._forget(job)
        return bool(old)

    def _forget(self, job: Job) -> None:
        self._jobs.pop(job.id, None)
        if job.folder != self.folder:
            shutil.rmtree(job.folder, ignore_errors=True)
        job.kept, job.after, job.session, job.result = None, None, None, {}
