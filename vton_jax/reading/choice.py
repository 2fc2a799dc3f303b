"""Which annotators to use, as settings that can be flags, and making them."""

import dataclasses

from vton_jax.core.errors import UserError
from vton_jax.reading import FaceEmbedder, Parser, PoseEstimator, digest_of


def _field(default, text: str):
    return dataclasses.field(default=default, metadata={"help": text})


@dataclasses.dataclass(frozen=True)
class Annotators:
    pose: PoseEstimator
    parser: Parser
    faces: FaceEmbedder | None

    @property
    def name(self) -> str:
        """What made the annotations, weights included."""
        return " ".join([self.pose.name, self.parser.name, self.faces.name if self.faces else "no-faces"])


@dataclasses.dataclass(frozen=True)
class Choice:
    """Files that replace ReaderCNN and the appearance embedder, which need no download."""

    pose_model: str | None = _field(None, "TFLite file of MoveNet or MediaPipe's pose landmarks (none: ReaderCNN).")
    face_detector: str | None = _field(None, "ONNX file of YuNet, which --face_model needs.")
    face_model: str | None = _field(None, "ONNX file of SFace, or dlib (none: the appearance embedder).")

    def load(self) -> Annotators:
        """Makes the annotators. UserError for files that are missing or none of the models."""
        from vton_jax.reading.picture_reader import PictureReader

        reader = PictureReader()
        return Annotators(self._pose() if self.pose_model else reader, reader, self._faces())

    def _pose(self) -> PoseEstimator:
        from vton_jax.reading import pose

        digest_of(self.pose_model)  # says so where it cannot be read
        side = int(pose.interpreter(self.pose_model).get_input_details()[0]["shape"][1])
        kinds = {kind.size: kind for kind in (pose.MoveNet, pose.MediaPipePose)}
        if side not in kinds:
            raise UserError(f"{self.pose_model} is neither MoveNet Lightning nor MediaPipe's pose landmark model.")
        return kinds[side](self.pose_model)

    def _faces(self) -> FaceEmbedder:
        from vton_jax.reading import appearance, faces

        if not self.face_model:
            return appearance.Appearance()
        if not self.face_detector:
            raise UserError("--face_model needs --face_detector=FILE, YuNet's ONNX file, which finds the faces.")
        detector = faces.FaceDetector(self.face_detector)
        return faces.Dlib(detector) if self.face_model == "dlib" else faces.SFace(self.face_model, detector)
