"""Live pictures of a browser's camera: a job that takes the newest frame, makes something of it, and sends it back.

A live session is a job like others: it waits in the queue, has the machine for itself while it runs, and can be
cancelled; so there is one at a time. Whoever brings frames sends the next one when the last was answered; of those that
come faster the newest alone is kept, so that the delay never grows.

Conventions: frames come and go as JPEG files in bytes; within they are uint8 RGB [H, W, 3].
"""

import contextlib
import dataclasses
import io
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from PIL import Image

from vton_jax.core.errors import NoPersonFound, UserError
from vton_jax.studio.jobs import Job
from vton_jax.studio.try_on import Systems
from vton_jax.systems.first_order import job as first_order
from vton_jax.systems.first_order.options import DriveOptions
from vton_jax.systems.mirror import job as mirrors
from vton_jax.systems.mirror.carrying import Carried
from vton_jax.systems.mirror.options import MirrorOptions

MAX_BYTES = 1_000_000  # of a frame
MAX_SIDE, MIN_SIDE = 1280, 32  # of a frame, in pixels
PATIENCE = 30.0  # seconds without a frame after which a session ends
_TURN = 0.25  # seconds after which a job that waits for a frame looks whether it was cancelled
_QUALITY = 85
_KEYS = frozenset("123456789mxf")  # of mirror and driver


class Lively(Protocol):
    """What makes something of frames."""

    def process(self, frame: np.ndarray) -> np.ndarray: ...

    def key(self, key: str) -> None: ...

    def note(self) -> str:
        """What a viewer should know beside the picture."""
        ...

    def close(self) -> None:
        """Ends what still goes on."""
        ...


Prepare = Callable[[tuple[int, int]], Lively]  # for frames of a size; all programs are compiled then


class Session:
    """Between whoever brings frames and the job: one frame in either direction, the newest."""

    def __init__(self):
        self.when_answered: Callable[[], None] = lambda: None  # called by the job's thread
        self._changed = threading.Condition()
        self._frame: bytes | None = None
        self._answer: tuple[bytes, str] | None = None
        self._keys: list[str] = []
        self._begun = False

    def begin(self) -> bool:
        """Takes the session; False where somebody has it."""
        with self._changed:
            begun, self._begun = self._begun, True
            return not begun

    def put(self, frame: bytes) -> None:
        """A frame has come; one that nobody has taken is forgotten."""
        with self._changed:
            self._frame = frame
            self._changed.notify_all()

    def press(self, key: str) -> None:
        """A key was pressed; of a crowd of them the first are kept."""
        with self._changed:
            if key in _KEYS and len(self._keys) < len(_KEYS):
                self._keys.append(key)

    def take(self, timeout: float) -> bytes | None:
        """The newest frame, as soon as there is one; None after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None, timeout)
            frame, self._frame = self._frame, None
            return frame

    def pressed(self) -> list[str]:
        """The keys since this was asked."""
        with self._changed:
            keys, self._keys = self._keys, []
            return keys

    def answer(self, frame: bytes, note: str) -> None:
        """Lays an answer there, in the place of one that nobody has fetched."""
        with self._changed:
            self._answer = frame, note
        self.when_answered()

    def fetch(self) -> tuple[bytes, str] | None:
        """The answer, (frame, what a viewer should know); None where there is none that is new."""
        with self._changed:
            answer, self._answer = self._answer, None
            return answer


def run(job: Job, session: Session, prepare: Prepare, seconds: int) -> dict[str, Any]:
    """The work of a live session: until its time is over, nobody brings frames any more, or it is cancelled.

    Args: seconds: how long it lasts at most. Returns: how many frames were shown. Raises: UserError, Cancelled.
    """
    job.step("waiting for the camera", 0, seconds)
    frame = _next(job, session, "waiting for the camera", lambda: (0, seconds))
    if frame is None:
        raise UserError("No picture came from the camera.")
    first = decoded(frame)
    job.step("getting ready", 0, seconds)
    with contextlib.closing(prepare(first.shape[:2])) as lively:
        started, shown = time.monotonic(), 0
        passed = lambda: (min(int(time.monotonic() - started), seconds), seconds)  # noqa: E731
        while frame is not None and time.monotonic() - started < seconds:
            job.step("live", *passed())
            for key in session.pressed():
                lively.key(key)
            result = lively.process(decoded(frame))
            session.answer(encoded(result), lively.note())
            shown += 1
            frame = _next(job, session, "live", passed)
    return {"frames": shown}


def _next(job: Job, session: Session, stage: str, passed: Callable[[], tuple[int, int]]) -> bytes | None:
    """The next frame; None where none comes any more. Raises: Cancelled."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        job.step(stage, *passed())
        if (frame := session.take(_TURN)) is not None:
            return frame
    return None


def decoded(data: bytes) -> np.ndarray:
    """A frame from its file, which has to be a JPEG file of a modest size. Raises: UserError."""
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            if max(image.size) > MAX_SIDE or min(image.size) < MIN_SIDE:  # said by its head, before it is decoded
                width, height = image.size
                raise UserError(f"A live picture has {width}x{height} pixels, not {MIN_SIDE} to {MAX_SIDE} a side.")
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError) as error:
        raise UserError("A live picture did not arrive as a whole JPEG file.") from error


def encoded(frame: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(frame).save(file, format="JPEG", quality=_QUALITY)
    return file.getvalue()


# ----------------------------------------------------------------------------------------------------- what is prepared


def mirror(options: MirrorOptions, kept: Systems) -> Prepare:
    """Whoever stands before the camera, in a garment."""

    def prepare(size: tuple[int, int]) -> Lively:
        made = mirrors.make_mirror(options, size, kept.of(options))
        mirrors.warm_up(made)
        return Carried(made)

    return prepare


@dataclasses.dataclass
class _Driven:
    """A picture that moves as whoever is before the camera."""

    driver: first_order.LiveDriver
    seen: bool = True

    def process(self, frame: np.ndarray) -> np.ndarray:
        try:
            result, self.seen = self.driver(frame), True
        except NoPersonFound:
            result, self.seen = self.driver.source.photo, False
        return result

    def key(self, key: str) -> None:
        self.driver.key(key)

    def note(self) -> str:
        return "" if self.seen else "nobody is seen"

    def close(self) -> None:
        pass


def driver(options: DriveOptions, kept: Systems) -> Prepare:
    """A picture, driven."""

    def prepare(size: tuple[int, int]) -> Lively:
        del size  # results are as large as the picture
        made = kept.driver(options)
        sources = [made.read(photo) for photo in first_order.read_sources(options)]
        made.render(sources[0], made.own_motion(sources[0]))  # compiled before the first frame is answered
        return _Driven(first_order.LiveDriver(made, sources, options.side_by_side))

    return prepare
