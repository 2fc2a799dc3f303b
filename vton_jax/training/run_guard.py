"""What keeps a run whole: one run at a time in a folder, a stop on demand, a full disk said in a sentence."""

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import threading
import time
import uuid
from importlib import metadata
from pathlib import Path

import jax
from etils import epath

from vton_jax.core.errors import UserError

HEARTBEAT = 10.0  # seconds between signs of life of a run whose file system has no locks
DEAD_AFTER = 35.0  # seconds without one


def is_remote(path) -> bool:
    """Whether a path is of a bucket (gs://, s3://) rather than of a file system."""
    return "://" in os.fspath(path)


def code_version() -> str:
    """What runs here, for the notes of a run: 'vton-jax 0.1.0, commit 0123456789ab, jax 0.10.2, 8 x cpu'.

    The commit ends in -dirty where files differ from it, and is left out where the code is no checkout.
    """
    words, root = ["vton-jax"], Path(__file__).resolve().parents[2]
    with contextlib.suppress(metadata.PackageNotFoundError):  # run from its folder, without being installed
        words[0] += f" {metadata.version('vton-jax')}"
    if (root / ".git").exists():
        command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            found = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
            words.append(f"commit {found.stdout.strip()}")
    return ", ".join([*words, f"jax {jax.__version__}", f"{jax.device_count()} x {jax.devices()[0].device_kind}"])


class WorkdirLock:
    """WORKDIR/run.lock: who trains here. Raises UserError where another run does.

    On a file system with locks it is one (flock; NFS passes it on to other hosts), which the system lets go when its
    process dies, however it dies. Elsewhere, and in buckets, the file is a note that its owner renews; one that is not
    renewed for `DEAD_AFTER` seconds of our own clock is a dead run's. Between two runs that begin in the same second
    such a note cannot decide.
    """

    def __init__(self, workdir):
        self.path = epath.Path(workdir) / "run.lock"
        self.note = {"host": socket.gethostname(), "pid": os.getpid(), "run": uuid.uuid4().hex}
        self.file, self.stop, self.thread = None, threading.Event(), None
        if is_remote(workdir) or not self._lock():
            self._watch()

    def _refusal(self, note: dict) -> UserError:
        owner = f"process {note.get('pid')} on {note.get('host')}"
        return UserError(f"{self.path.parent} is being trained in by another run ({owner}); wait for it, stop it, or "
                         "give another --workdir.")  # fmt: skip

    def _lock(self) -> bool:
        """Takes the file system's lock; False where it has none."""
        try:
            import fcntl
        except ImportError:
            return False
        self.file = open(self.path, "a+")  # noqa: SIM115  (held as long as the run)
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.file.seek(0)
            text = self.file.read()
            self.file.close()
            self.file = None
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise self._refusal(_parse(text)) from None
            return False
        self.file.truncate(0)
        self.file.write(json.dumps(self.note))
        self.file.flush()
        return True

    def _read(self) -> dict:
        try:
            return _parse(self.path.read_text())
        except OSError:
            return {}

    def _watch(self) -> None:
        """Waits for a sign of life of the run that the note names, then renews the note in our name."""
        before, since = self._read(), time.monotonic()
        ours = before.get("host") == self.note["host"] and not _alive(before.get("pid"))
        while before and not ours and time.monotonic() - since < DEAD_AFTER:
            time.sleep(min(1.0, HEARTBEAT))
            if (now := self._read()) and now != before:
                raise self._refusal(now)
        self._write()
        self.thread = threading.Thread(target=self._renew, daemon=True)
        self.thread.start()

    def _write(self) -> None:
        self.path.write_text(json.dumps(self.note | {"time": time.time()}))

    def _renew(self) -> None:
        while not self.stop.wait(HEARTBEAT):
            with contextlib.suppress(OSError):
                self._write()

    def release(self) -> None:
        """Lets the next run in."""
        if self.thread:
            self.stop.set()
            self.thread.join()
            with contextlib.suppress(OSError):
                self.path.unlink()
        if self.file:
            self.file.close()  # the file stays: removing it would let two runs hold two locks of one name


def _parse(text: str) -> dict:
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError):
        return {}


def _alive(pid) -> bool:
    if not isinstance(pid, int) or pid == os.getpid():  # in containers every run may have one number
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


class Stop:
    """Notes SIGTERM and Ctrl-C, so that a run can save before it ends; a second Ctrl-C interrupts at once.

    With several processes JAX passes a SIGTERM of one on to all, and says at which step all of them stop.
    """

    def __init__(self):
        self.number = None
        self.before = {}
        if jax.process_count() == 1 and threading.current_thread() is threading.main_thread():
            self.before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}

    def _note(self, number, frame):
        del frame
        self.number = number
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def wanted(self, step: int) -> bool:
        """Whether to stop before the next step; `step` counts finished ones."""
        if jax.process_count() > 1:
            from jax.experimental import multihost_utils

            return multihost_utils.reached_preemption_sync_point(step)
        return self.number is not None

    def exit_code(self) -> int:
        """128 + the signal's number: 143 after SIGTERM, as shells, Kubernetes and SLURM count."""
        return 128 + (self.number or signal.SIGTERM)

    def close(self) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)


def _chain(error: BaseException | None):
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or what caused it, is a full disk, a quota or a limit of file size."""
    texts = "No space left on device", "Disk quota exceeded", "File too large"
    numbers = errno.ENOSPC, errno.EDQUOT, errno.EFBIG
    return any(getattr(one, "errno", None) in numbers or any(t in str(one) for t in texts) for one in _chain(error))


@contextlib.contextmanager
def full_disk_is_said(workdir):
    """Turns a full disk into a UserError, and lets the sentence that was said first win over what follows from it."""
    try:
        yield
    except Exception as error:
        if isinstance(error, UserError) or not is_disk_full(error):
            raise
        for one in _chain(error):
            if isinstance(one, UserError):
                raise one from None
        raise UserError(f"The disk of {workdir} is full; make room and run the same command again.") from None
