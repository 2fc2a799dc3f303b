"""Every frame is shown while few are dressed: what was dressed last is carried along to the frame of now.

A laptop dresses two or three frames a second. A thread does, the newest frame each time; meanwhile the optical flow is
followed from frame to frame, so that it is known of every pixel where it lay in the frame that was dressed, and what
dressing changed is moved there. All else is the camera's own frame, which nobody waits for.

Conventions: frames are uint8 [H, W, 3] of one size; flows as in `compositing.temporal_filters`.
"""

import concurrent.futures
import dataclasses

import cv2
import numpy as np

from vton_jax.compositing.temporal_filters import moved, step_flow
from vton_jax.core import framing
from vton_jax.systems.mirror.mirror import Mirror

_FOLLOWED_AT = 256  # longer side of the frames in which the flow is searched: some five milliseconds
_CHANGED = 20  # of 255 levels, from which a pixel was changed by dressing
_MARGIN = 8  # pixels at 640x360 around what was changed that come along: edges are carried whole
# Where the frame that was dressed does not look as the frame of now does, once moved onto it, the way there is lost, or
# something else is there now: the camera's own frame is shown. Six drawn walks of the validation split, a frame
# of 20 a second dressed for as long as nine last, chose these (docs/mirror.md has the measure).
_AGREE, _AROUND = 50, 32  # levels, on the mean of so many pixels at 640x360


@dataclasses.dataclass
class _Dressing:
    """A frame that is dressed, or was, on its way to the frame of now."""

    frame: np.ndarray
    made: concurrent.futures.Future  # the frame, dressed; None where nobody is seen
    way: np.ndarray  # float [h, w, 2]: where pixels of the frame of now lay in this one, relative
    parts: tuple[np.ndarray, np.ndarray] | None = None  # once it is made: the dressed frame, and what of it is changed

    def finish(self) -> bool:
        """Takes what was made. Returns: whether somebody is seen. Raises what dressing raised."""
        dressed = self.made.result()
        if dressed is None:
            return False
        changed = (np.abs(dressed.astype(np.int16) - self.frame).max(-1) >= _CHANGED).astype(np.float32)
        side = _odd(_MARGIN, dressed)
        grown = cv2.dilate(changed, np.ones((side, side), np.uint8))
        self.parts = dressed, cv2.blur(grown, (side, side))
        return True

    def onto(self, frame: np.ndarray) -> np.ndarray:
        """The frame of now with what was changed."""
        height, width = frame.shape[:2]
        factor = width / self.way.shape[1], height / self.way.shape[0]
        way = cv2.resize(self.way, (width, height)) * np.float32(factor)
        dressed, changed, before = (moved(part, way) for part in (*self.parts, self.frame))
        difference = cv2.absdiff(before, frame.astype(np.float32))
        side = _odd(_AROUND, frame)
        apart = cv2.blur(cv2.transform(difference, np.full((1, 3), 1 / 3)), (side, side))
        changed = changed * np.exp(-np.square(apart / _AGREE))
        return np.round(frame + changed[..., None] * (dressed - frame)).astype(np.uint8)


def _odd(pixels: int, frame: np.ndarray) -> int:
    """A window's side, given at a longer side of 640."""
    return 1 + 2 * round(pixels * max(frame.shape[:2]) / 640 / 2)


class Carried:
    """A mirror that shows every frame it is given. Keys as `Mirror` has them; a garment is changed with the next frame
    that is dressed.

    Args: beside: where frames are dressed, one at a time; default: a thread.
    """

    def __init__(self, mirror: Mirror, beside: concurrent.futures.Executor | None = None):
        self._mirror = mirror
        self._beside = beside or concurrent.futures.ThreadPoolExecutor(1, "dressing")
        self._grey: np.ndarray | None = None
        self._shown: _Dressing | None = None
        self._underway: _Dressing | None = None
        self._keys: list[str] = []
        self.dressed = 0  # frames, so far

    def key(self, key: str) -> None:
        if key == "m":
            self._mirror.key(key)  # which touches nothing that dressing does
        else:
            self._keys.append(key)

    def note(self) -> str:
        return self._mirror.note()

    def process(self, frame: np.ndarray) -> np.ndarray:
        """A frame in which the person wears the garment; where nobody is seen, the frame as it is.

        The first one is waited for. Raises what dressing raises.
        """
        frame = framing.resize(frame, self._mirror.size)
        self._follow(frame)
        if self._underway is not None and self._underway.made.done():
            self._take()
        if self._underway is None:
            self._begin(frame)
        if self.dressed == 0:
            self._take()
        shown = frame if self._shown is None else self._shown.onto(frame)
        return self._mirror.turned(shown)

    def close(self) -> None:
        """Waits for the frame that is being dressed: its system is somebody else's then."""
        self._beside.shutdown(wait=True, cancel_futures=True)

    def _follow(self, frame: np.ndarray) -> None:
        """Leads the ways of what is dressed on to the frame of now."""
        factor = min(1.0, _FOLLOWED_AT / max(frame.shape[:2]))
        small = framing.resize(frame, tuple(round(factor * side) for side in frame.shape[:2]))
        before, self._grey = self._grey, cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        if before is None:
            return
        flow = step_flow(before, self._grey)
        for dressing in filter(None, (self._shown, self._underway)):
            dressing.way = flow + moved(dressing.way, flow)

    def _begin(self, frame: np.ndarray) -> None:
        keys, self._keys = self._keys, []
        made = self._beside.submit(self._dress, frame, keys)
        self._underway = _Dressing(frame, made, np.zeros((*self._grey.shape, 2), np.float32))

    def _dress(self, frame: np.ndarray, keys: list[str]) -> np.ndarray | None:
        for key in keys:
            self._mirror.key(key)
        return self._mirror.dress(frame)

    def _take(self) -> None:
        underway, self._underway = self._underway, None
        self._shown = underway if underway.finish() else None
        self.dressed += 1
