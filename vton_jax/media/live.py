"""Live pictures: a camera's newest frame, what becomes of it, shown and recorded, and how long that took.

A camera is read in a thread of its own, which keeps the newest frame alone: whoever takes frames more slowly than they
come misses some, and is never late by more than one. A clip can be played as a camera. The loop knows nothing of what
is done with a frame.

Conventions: frames are uint8 RGB [H, W, 3]; times are seconds of a steady clock.
"""

import dataclasses
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from vton_jax.core.errors import UserError
from vton_jax.media import video_files

DISPLAYS = ("window", "none")
_KEPT = 4096  # of the newest delays, from which figures are told
_WAIT = 0.1  # seconds that a loop waits for a frame before it looks at the keys again
_CAMERA = "camera"


class Camera(Protocol):
    """Where frames come from."""

    def read(self) -> np.ndarray | None:
        """The next frame, when it is there; None after the last one."""
        ...

    def close(self) -> None: ...


class DeviceCamera:
    """A camera of the machine by its number. Raises: UserError where it cannot be opened."""

    def __init__(self, number: int = 0):
        said = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # ours says it in a sentence
        try:
            self._capture = cv2.VideoCapture(number)
        finally:
            cv2.utils.logging.setLogLevel(said)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        if not self._capture.isOpened():
            raise UserError(f"Camera {number} cannot be opened; plug one in, or name another one, or a clip to play as "
                            "one.")  # fmt: skip

    def read(self):
        there, frame = self._capture.read()
        return np.ascontiguousarray(frame[..., ::-1]) if there else None

    def close(self):
        self._capture.release()


class ClipCamera:
    """A clip played as a camera: a frame comes when its time has come, however long somebody takes.

    Args: path: the clip. max_side: as `video_files.iterate_video`. repeats: whether it begins anew at its end.
    Raises: MediaError.
    """

    def __init__(self, path: str | Path, max_side: int | None = 1280, *, repeats: bool = False):
        rate = float(video_files.video_info(path).frame_rate)
        frames = (iter(video_files.iterate_video(path, max_side)) for _ in (itertools.count() if repeats else (0,)))
        self._frames, self._interval, self._next = itertools.chain.from_iterable(frames), 1 / rate, None

    def read(self):
        frame = next(self._frames, None)
        now = time.monotonic()
        self._next = now if self._next is None else self._next + self._interval
        if frame is not None and self._next > now:
            time.sleep(self._next - now)
        return frame

    def close(self):
        pass


def open_camera(driving: str, max_side: int = 1280) -> Camera:
    """`camera`, `camera:N`, or a clip's path. Args: max_side: of a clip's frames. Raises: UserError."""
    name, _, number = driving.partition(":")
    if name != _CAMERA:
        return ClipCamera(driving, max_side)
    if number and not number.isdigit():
        raise UserError(f"A camera is called camera or camera:N with its number, not {driving}.")
    return DeviceCamera(int(number or 0))


def is_camera(driving: str) -> bool:
    """Whether a word names a camera of the machine."""
    return driving.partition(":")[0] == _CAMERA


@dataclasses.dataclass(frozen=True)
class Captured:
    """A frame and when it was there."""

    frame: np.ndarray
    number: int  # of all that were captured, from 0
    time: float


class Newest:
    """Reads a camera in a thread and keeps its newest frame; use it in a `with`."""

    def __init__(self, camera: Camera, clock: Callable[[], float] = time.monotonic):
        self._camera, self._clock = camera, clock
        self._changed, self._held, self._ended = threading.Condition(), None, False
        self._stopped, self._error = False, None
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopped = True
        self._thread.join(timeout=2.0)
        self._camera.close()

    def _read(self):
        number = 0
        try:
            while not self._stopped and (frame := self._camera.read()) is not None:
                with self._changed:
                    self._held = Captured(frame, number, self._clock())
                    self._changed.notify_all()
                number += 1
        except Exception as error:  # the loop raises it: a thread's own exceptions are lost
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def take(self, timeout: float | None = None) -> Captured | None:
        """The newest frame that nobody has taken, as soon as there is one; None at the end, or after `timeout` seconds.

        Raises what reading the camera has raised.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._held is not None or self._ended, timeout)
            found, self._held = self._held, None
            if found is None and self._error is not None:
                raise self._error
            return found

    @property
    def ended(self) -> bool:
        """Whether the camera has ended and its last frame was taken."""
        with self._changed:
            return self._ended and self._held is None


class Timing:
    """How long frames took from capture to display, how many were shown, and how many were not."""

    def __init__(self):
        self.delays: deque[float] = deque(maxlen=_KEPT)
        self.shown, self._first, self._last, self._last_number = 0, None, None, -1
        self.missed = 0

    def add(self, captured: Captured, now: float) -> None:
        self.delays.append(now - captured.time)
        self.missed += captured.number - self._last_number - 1
        self._last_number, self.shown = captured.number, self.shown + 1
        self._first, self._last = now if self._first is None else self._first, now

    @property
    def milliseconds(self) -> float:
        """The median delay."""
        return 1000 * float(np.median(self.delays)) if self.delays else float("nan")

    @property
    def frames_per_second(self) -> float:
        return (self.shown - 1) / (self._last - self._first) if self.shown > 1 else float("nan")

    def line(self) -> str:
        """The figures in words."""
        slow = 1000 * float(np.percentile(self.delays, 95)) if self.delays else float("nan")
        return (f"{self.shown} frames shown, {self.missed} passed over; {self.frames_per_second:.1f} frames/s; capture "
                f"to display {self.milliseconds:.0f} ms in the median, {slow:.0f} ms for 19 of 20")  # fmt: skip


class Display(Protocol):
    """Where results are shown."""

    def show(self, frame: np.ndarray) -> None: ...

    def key(self) -> str:
        """The key that was pressed since, or ''."""
        ...

    def close(self) -> None: ...


class NoDisplay:
    """Shows nothing, and has no keys."""

    def show(self, frame):
        del frame

    def key(self):
        return ""

    def close(self):
        pass


class Window:
    """A window of OpenCV's. Raises: UserError where there can be none."""

    def __init__(self, title: str):
        self._title = title
        try:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL)
        except cv2.error:
            raise UserError("No window can be opened here (no screen, or OpenCV without windows); give "
                            "--display=none.") from None  # fmt: skip

    def show(self, frame):
        cv2.imshow(self._title, np.ascontiguousarray(frame[..., ::-1]))

    def key(self):
        code = cv2.waitKey(1)
        return chr(code & 0xFF) if code >= 0 else ""

    def close(self):
        cv2.destroyWindow(self._title)


class VirtualCamera:
    """A camera that other programs see, of the extra `live`. Raises: UserError where there can be none."""

    def __init__(self, size: tuple[int, int], rate: float):
        try:
            import pyvirtualcam

            self._camera = pyvirtualcam.Camera(width=size[1], height=size[0], fps=rate)
        except ImportError:
            raise UserError("A virtual camera needs pyvirtualcam: pip install 'vton-jax[live]'.") from None
        except RuntimeError as error:
            raise UserError(f"No virtual camera can be opened ({' '.join(str(error).split())[:120]}).") from None

    def show(self, frame: np.ndarray) -> None:
        self._camera.send(np.ascontiguousarray(frame))

    def close(self) -> None:
        self._camera.close()


def open_display(name: str, title: str) -> Display:
    """Args: name: of `DISPLAYS`. Raises: UserError."""
    return Window(title) if name == "window" else NoDisplay()


def captioned(frame: np.ndarray, text: str) -> np.ndarray:
    """A frame with a line of text in its corner."""
    found, scale = np.ascontiguousarray(frame).copy(), max(0.4, min(frame.shape[:2]) / 640)
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(found, text, (6, round(22 * scale) + 4), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, width,
                    cv2.LINE_AA)  # fmt: skip
    return found


@dataclasses.dataclass
class Loop:
    """Takes the newest frame, makes something of it, shows and records it, until the camera or the user ends it.

    process: a frame -> the result. on_key: what a key does, besides `q`, which ends. record: gets (result, seconds
    since the first). also_show: further displays without keys, such as a virtual camera. note: what else stands on
    screen.
    """

    process: Callable[[np.ndarray], np.ndarray]
    display: Display = dataclasses.field(default_factory=NoDisplay)
    on_key: Callable[[str], None] = lambda key: None
    record: Callable[[np.ndarray, float], None] | None = None
    also_show: tuple = ()
    caption: bool = True
    note: Callable[[], str] = lambda: ""
    clock: Callable[[], float] = time.monotonic

    def run(self, camera: Camera, most_seconds: float = float("inf")) -> Timing:
        """The whole of it. Raises what the camera and `process` raise."""
        timing = Timing()
        with Newest(camera, self.clock) as newest:
            for captured, result, begun in self._results(newest, most_seconds):
                figures = f"{timing.milliseconds:.0f} ms, {timing.frames_per_second:.1f} frames/s"
                text = "; ".join(filter(None, [figures if timing.shown > 1 else "", self.note()]))
                self.display.show(captioned(result, text) if self.caption and text else result)
                for other in self.also_show:
                    other.show(result)
                timing.add(captured, self.clock())
                if self.record is not None:
                    self.record(result, captured.time - begun)
        return timing

    def _results(self, newest: Newest, most_seconds: float) -> Iterator[tuple[Captured, np.ndarray, float]]:
        begun, started = None, self.clock()
        while not newest.ended and self.clock() - started < most_seconds:
            key = self.display.key()
            if key == "q":
                return
            if key:
                self.on_key(key)
            if (captured := newest.take(_WAIT)) is None:
                continue
            begun = captured.time if begun is None else begun
            yield captured, self.process(captured.frame), begun
