"""Face embedders with weights of others: SFace through OpenCV, and dlib's network through `face_recognition_models`.

Both find faces with YuNet (W. Wu, H. Peng, S. Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023). Embeddings
are compared by their Euclidean distance; the thresholds are those that the authors of the networks give.
"""

import abc
from pathlib import Path

import cv2
import numpy as np

from vton_jax.core.errors import UserError
from vton_jax.reading import Face, digest_of

_LEAST_SCORE = 0.7
_LEAST_WIDTH = 20  # pixels: of smaller faces an embedding says little
_MAX_SIDE = 640  # YuNet sees faces of 10 to 300 pixels


class FaceDetector:
    """YuNet from an ONNX file."""

    def __init__(self, path: str | Path):
        self.name = f"YuNet-{digest_of(path)}"
        try:
            self._net = cv2.FaceDetectorYN.create(str(path), "", (320, 320), _LEAST_SCORE)
        except cv2.error as error:
            raise UserError(f"{path} is no YuNet model that OpenCV can read ({_reason(error)}).") from None

    def detect(self, frame: np.ndarray) -> np.ndarray:
        """The faces in a frame, the largest first: [N, 15] (left, top, width, height, five (x, y), score) in pixels."""
        factor = min(1.0, _MAX_SIDE / max(frame.shape[:2]))
        size = tuple(max(1, round(side * factor)) for side in frame.shape[1::-1])
        small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA) if factor < 1 else frame
        self._net.setInputSize(size)
        _, found = self._net.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        found = np.zeros((0, 15), np.float32) if found is None else found.copy()
        found[:, :14] /= factor
        found = found[found[:, 2] >= _LEAST_WIDTH]
        return found[np.argsort(-found[:, 2] * found[:, 3], kind="stable")]


class _Embedder(abc.ABC):
    def __init__(self, detector: FaceDetector):
        self.detector = detector

    def faces(self, frame: np.ndarray, labels: np.ndarray | None = None) -> list[Face]:
        """See `FaceEmbedder`."""
        del labels  # a detector finds them
        return [
            Face((row[0], row[1], row[0] + row[2], row[1] + row[3]), float(row[14]), self._embed(frame, row))
            for row in self.detector.detect(frame)
        ]

    @abc.abstractmethod
    def _embed(self, frame, row) -> np.ndarray:
        """The vector of the face in a row of YuNet's."""


class SFace(_Embedder):
    """SFace (Y. Zhong and others, "SFace: Sigmoid-Constrained Hypersphere Loss", 2021) from OpenCV's ONNX file."""

    threshold = 1.128  # OpenCV's documentation of FaceRecognizerSF, for the distance of embeddings of length 1

    def __init__(self, path: str | Path, detector: FaceDetector):
        super().__init__(detector)
        self.name = f"SFace-{digest_of(path)}-{detector.name}"
        try:
            self._net = cv2.FaceRecognizerSF.create(str(path), "")
        except cv2.error as error:
            raise UserError(f"{path} is no SFace model that OpenCV can read ({_reason(error)}).") from None

    def _embed(self, frame, row):
        aligned = self._net.alignCrop(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), row)
        embedding = self._net.feature(aligned).ravel().astype(np.float32)
        return embedding / max(float(np.linalg.norm(embedding)), 1e-6)


class Dlib(_Embedder):
    """dlib's face recognition network, whose weights come with the package face_recognition_models (extra `dlib`)."""

    threshold = 0.6  # dlib's and face_recognition's documentation

    def __init__(self, detector: FaceDetector):
        super().__init__(detector)
        try:
            import dlib
            import face_recognition_models as models
        except ImportError:
            raise UserError("dlib's embedder is not installed; run `pip install vton-jax[dlib]`.") from None
        self.name = f"dlib-{digest_of(models.face_recognition_model_location())}-{detector.name}"
        self._rectangle = dlib.rectangle
        self._landmarks = dlib.shape_predictor(models.pose_predictor_five_point_model_location())
        self._net = dlib.face_recognition_model_v1(models.face_recognition_model_location())

    def _embed(self, frame, row):
        left, top, width, height = row[:4]
        # dlib's landmarks were trained on square boxes from the brows to the chin, YuNet's begin at the forehead.
        side, x, y = 0.5 * (width + height), left + width / 2, top + 0.55 * height
        box = self._rectangle(*(round(float(v)) for v in (x - side / 2, y - side / 2, x + side / 2, y + side / 2)))
        frame = np.ascontiguousarray(frame)
        return np.array(self._net.compute_face_descriptor(frame, self._landmarks(frame, box)), np.float32)


def _reason(error: cv2.error) -> str:
    return " ".join(str(error.err or error).split())[:120]
