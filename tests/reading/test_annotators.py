"""Annotators: crops that know where they are, and poses and faces on real photos and clips where those lie at hand."""

import csv

import numpy as np
import pytest

from vton_jax import reading
from vton_jax.core import keypoints
from vton_jax.core.errors import UserError
from vton_jax.media import photo_files, video_files
from vton_jax.reading import faces, pose
from vton_jax.reading.choice import Choice


@pytest.mark.parametrize("side", [40, 96, 250, 500])
def test_a_point_of_a_crop_comes_from_where_it_says(side):
    frame = np.zeros((400, 300, 3), np.uint8)
    centre = np.array([150.3, 210.6])
    spot = np.array([157.0, 201.0])
    y, x = np.mgrid[:400, :300]
    frame[...] = (255 * np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / 32)).astype(np.uint8)[..., None]
    crop = pose.square_crop(frame, centre, side, 96)[..., 0].astype(float)
    rows, columns = np.mgrid[:96, :96]
    found = np.array([(crop * columns).sum(), (crop * rows).sum()]) / crop.sum()
    assert (
        np.abs(pose.from_square(found, centre, side, 96) - spot).max() < 0.1 + side / 96 / 32
    )  # warpAffine knows 32nds of a pixel of the frame it samples


def test_coco_17_becomes_18_with_a_neck():
    points = np.arange(34, dtype=np.float32).reshape(17, 2)
    confidence = np.linspace(0.1, 0.9, 17).astype(np.float32)
    out, certain = pose.coco_18(points, confidence)
    np.testing.assert_array_equal(out[keypoints.ID["left-wrist"]], points[9])
    np.testing.assert_array_equal(out[keypoints.ID["right-ankle"]], points[16])
    np.testing.assert_array_equal(out[keypoints.ID["neck"]], (points[5] + points[6]) / 2)
    assert certain[keypoints.ID["neck"]] == confidence[5]
    kept, visible = reading.visible_only(out, certain, 0.5)
    assert not visible[keypoints.ID["nose"]] and (kept[~visible] == 0).all() and visible.any()


MODELS = {
    "MoveNet": "lite-model_movenet_singlepose_lightning_tflite_int8_4.tflite",
    "MediaPipePose": "pose_landmark_lite.tflite",
    "PictureReader": None,
}


@pytest.mark.parametrize("kind", MODELS)
def test_poses_of_real_clips_are_close_to_the_given_ones(test_data, kind):
    model = MODELS[kind]
    estimator = Choice(pose_model=model and str(test_data / "models" / model)).load().pose
    assert estimator.name.startswith(kind)
    errors = []
    for clip in sorted((test_data / "video" / "ubc_fashion").glob("*.mp4")):
        frames = video_files.read_video(clip, 4, select="even")[0]
        with np.load(clip.with_name(f"{clip.stem}_dwpose.npz")) as file:
            chosen = np.linspace(0, len(file["body"]) - 1, 4).round().astype(int)
            truth = file["body"][chosen] * [frames.shape[2], frames.shape[1]] - 0.5
            valid = file["valid"][chosen]
        points, confidence = estimator.estimate(frames)
        seen = valid & (confidence >= estimator.threshold)
        assert seen.sum() > 0.9 * valid.sum()
        apart = np.linalg.norm(points - truth, axis=-1) / keypoints.person_height(truth, valid)[:, None]
        errors.append(apart[seen])
    assert np.median(np.concatenate(errors)) < 0.03


def test_a_file_that_is_no_model_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        pose.MoveNet(tmp_path / "none.tflite")
    (tmp_path / "text.tflite").write_text("no model")
    with pytest.raises(UserError, match="no TFLite model"):
        pose.MoveNet(tmp_path / "text.tflite")


def test_faces_of_photos_are_found_and_told_apart(test_data):
    detector = faces.FaceDetector(test_data / "models" / "yunet_n_dynamic.onnx")
    with (test_data / "faces" / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))[:12]
    photos = [photo_files.read_photo(test_data / "faces" / row["file"]) for row in rows]
    for photo in photos:
        found = detector.detect(photo)
        assert len(found) and found[0, 14] >= 0.7
        left, top, width, height = found[0, :4]
        eyes = found[0, 4:8].reshape(2, 2)
        assert ((eyes > [left, top]) & (eyes < [left + width, top + height])).all()
    pytest.importorskip("dlib")
    embedder = faces.Dlib(detector)
    embeddings = np.stack([embedder.faces(photo)[0].embedding for photo in photos])
    apart = np.linalg.norm(embeddings[:, None] - embeddings[None], axis=-1)
    groups = np.array([row["group"] for row in rows])
    same = groups[:, None] == groups[None]
    assert (apart[same] < embedder.threshold).mean() > 0.9 and (apart[~same] > embedder.threshold).mean() > 0.9


def test_choices_that_cannot_be_are_one_sentence(tmp_path):
    for choice, said in (
        (Choice(pose_model=str(tmp_path / "none")), "cannot be read"),
        (Choice(face_model="dlib"), "--face_detector"),
        (Choice(face_model="dlib", face_detector=str(tmp_path / "none.onnx")), "cannot be read"),
    ):
        with pytest.raises(UserError, match=said):
            choice.load()
