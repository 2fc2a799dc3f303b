"""Pose estimators that run a TFLite file: MoveNet Lightning and MediaPipe's pose landmarks.

Both see one square picture of one person, so the person is cropped first: a first pass on the whole frame, padded to a
square, finds roughly where the person is, a second one looks there again. Both give the person's own left and right.
The neck, which neither has, is the midpoint of the shoulders.

Sources: MoveNet (Google, https://www.tensorflow.org/hub/tutorials/movenet); BlazePose (V. Bazarevsky and others,
"BlazePose: On-device Real-time Body Pose tracking", 2020), section 3 for the alignment points that give the crop.
"""

import abc
from pathlib import Path

import cv2
import numpy as np

from vton_jax.core import keypoints
from vton_jax.core.errors import UserError
from vton_jax.core.framing import to_float
from vton_jax.reading import digest_of

# COCO's 17 joints, as MoveNet orders them.
_COCO = (
    "nose", "left-eye", "right-eye", "left-ear", "right-ear", "left-shoulder", "right-shoulder", "left-elbow",
    "right-elbow", "left-wrist", "right-wrist", "left-hip", "right-hip", "left-knee", "right-knee", "left-ankle",
    "right-ankle",
)  # fmt: skip
# The places of the same joints among MediaPipe's 33 landmarks.
_MEDIAPIPE = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
_MIDDLE, _CIRCLE = 33, 34  # MediaPipe's alignment points: the hips' middle, and a point on a circle around the body


def interpreter(path: str | Path):
    """A TFLite interpreter for a file, on one thread so that results do not depend on the machine's cores."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        raise UserError("TFLite models need ai-edge-litert; run `pip install vton-jax[annotators]`.") from None
    try:
        made = Interpreter(str(path), num_threads=1)
        made.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{path} is no TFLite model that can be run ({' '.join(str(error).split())}).") from None
    return made


def square_crop(frame: np.ndarray, centre, side: float, size: int) -> np.ndarray:
    """The square of `side` pixels around `centre` (x, y) of a frame, resized to size x size; black beyond the frame."""
    factor, centre = size / side, np.asarray(centre, np.float64)
    shrunk = int(1 / factor)
    if shrunk > 1:  # warpAffine samples points: shrink by areas first
        height, width = (edge // shrunk * shrunk for edge in frame.shape[:2])
        frame = cv2.resize(frame[:height, :width], (width // shrunk, height // shrunk), interpolation=cv2.INTER_AREA)
        factor, centre = factor * shrunk, (centre + 0.5) / shrunk - 0.5
    shift = size / 2 - 0.5 - factor * centre
    matrix = np.array([[factor, 0, shift[0]], [0, factor, shift[1]]])
    return cv2.warpAffine(frame, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=(0, 0, 0))


def from_square(points: np.ndarray, centre, side: float, size: int) -> np.ndarray:
    """Points [..., 2] of a `square_crop` in pixels of its frame."""
    return (np.asarray(points) - (size / 2 - 0.5)) * (side / size) + np.asarray(centre)


def coco_18(points: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """COCO's 17 joints [17, 2] and confidence [17] -> COCO-18, with the neck amid the shoulders."""
    out, certain = np.zeros((18, 2), np.float32), np.zeros(18, np.float32)
    places = [keypoints.ID[name] for name in _COCO]
    out[places], certain[places] = points, confidence
    shoulders = [keypoints.ID["left-shoulder"], keypoints.ID["right-shoulder"]]
    out[keypoints.ID["neck"]], certain[keypoints.ID["neck"]] = out[shoulders].mean(0), certain[shoulders].min()
    return out, certain


class _TwoPasses(abc.ABC):
    """Looks at the whole frame, then at the square around the person that was found there."""

    size: int

    def __init__(self, path: str | Path):
        self.name = f"{type(self).__name__}-{digest_of(path)}"
        self._interpreter = interpreter(path)
        self._input = self._interpreter.get_input_details()[0]["index"]

    def estimate(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `PoseEstimator`."""
        found = [self._one(frame) for frame in frames]
        return np.stack([points for points, _ in found]), np.stack([confidence for _, confidence in found])

    def _one(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        height, width = frame.shape[:2]
        centre, side = ((width - 1) / 2, (height - 1) / 2), float(max(height, width))
        points, confidence, crop = self._look(frame, centre, side)
        if crop is not None:
            points, confidence, _ = self._look(frame, *crop)
        return coco_18(points, confidence)

    def _run(self, picture: np.ndarray) -> None:
        self._interpreter.set_tensor(self._input, picture[None])
        self._interpreter.invoke()

    @abc.abstractmethod
    def _look(self, frame, centre, side):
        """COCO's joints [17, 2] in the frame, confidence [17], and the (centre, side) at which to look again."""


class MoveNet(_TwoPasses):
    """MoveNet single-pose Lightning (192x192)."""

    size = 192
    threshold = 0.3

    def _look(self, frame, centre, side):
        self._run(square_crop(frame, centre, side, self.size))
        out = self._interpreter.get_tensor(self._interpreter.get_output_details()[0]["index"]).reshape(17, 3)
        # Normalised by the picture's extent: 0 is its left edge, half a pixel left of the first pixel's centre.
        points = from_square(out[:, 1::-1] * self.size - 0.5, centre, side, self.size)
        confidence = out[:, 2]
        seen = points[confidence >= self.threshold]
        if len(seen) < 4:
            return points, confidence, None
        low, high = seen.min(0), seen.max(0)
        # Joints end at the ankles and eyes: a quarter more holds feet, hands and hair.
        return points, confidence, ((low + high) / 2, 1.25 * float((high - low).max()) + 1)


class MediaPipePose(_TwoPasses):
    """MediaPipe's pose landmark model (lite, full or heavy; 256x256)."""

    size = 256
    threshold = 0.5

    def __init__(self, path: str | Path):
        super().__init__(path)
        outputs = {tuple(detail["shape"]): detail["index"] for detail in self._interpreter.get_output_details()}
        if not {(1, 195), (1, 1)} <= outputs.keys():
            raise UserError(f"{path} is not MediaPipe's pose landmark model: it gives {sorted(outputs)}.")
        self._landmarks, self._presence = outputs[1, 195], outputs[1, 1]

    def _look(self, frame, centre, side):
        self._run(to_float(square_crop(frame, centre, side, self.size)))
        out = self._interpreter.get_tensor(self._landmarks).reshape(39, 5)
        person = float(self._interpreter.get_tensor(self._presence)[0, 0])
        points = from_square(out[:, :2] - 0.5, centre, side, self.size)
        # A landmark's visibility is a logit; no landmark is more certain than that there is a person.
        confidence = person / (1 + np.exp(-np.clip(out[list(_MEDIAPIPE), 3], -30, 30)))
        crop = None
        if person >= 0.5:
            radius = float(np.linalg.norm(points[_CIRCLE] - points[_MIDDLE]))
            crop = points[_MIDDLE], 2.5 * radius + 1  # MediaPipe's own margin: a quarter beyond the circle
        return points[list(_MEDIAPIPE)], confidence.astype(np.float32), crop
