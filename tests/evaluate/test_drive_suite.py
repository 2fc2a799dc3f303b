"""The judges of heads beside truth, and the suite from end to end with untrained networks."""

import numpy as np
import pytest
import tiny_first_order
from stand_ins import Distances

from vton_jax.core.errors import UserError
from vton_jax.evaluate import drive_cases, drive_suite, perceptual
from vton_jax.evaluate.drive_suite import DriveSuite
from vton_jax.reading import picture_reader
from vton_jax.systems.first_order import system


def heads(seed, count=30, wide=1.0):
    """Motions of points on a ball that turns about two axes, and its angles; `wide` is the person's own proportion."""
    generator = np.random.default_rng(seed)
    ball = np.random.default_rng(0).normal(0, 1, (8, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    angles = generator.uniform(-0.5, 0.5, (count, 3)) * [1, 0.5, 0]
    points = []
    for yaw, pitch, _ in angles:
        x = ball[:, 0] * wide * np.cos(yaw) + ball[:, 2] * np.sin(yaw)
        z = ball[:, 2] * np.cos(yaw) - ball[:, 0] * wide * np.sin(yaw)
        points.append(np.stack([x, ball[:, 1] * np.cos(pitch) - z * np.sin(pitch)], -1))
    frames = np.broadcast_to(np.eye(2), (count, 8, 2, 2))
    return {"points": 0.4 * np.array(points), "jacobians": frames}, angles


def test_the_judge_reads_poses_and_tells_people_apart():
    known = [heads(seed, wide=1 + 0.1 * (seed % 3)) for seed in range(9)]
    judge = drive_cases.fit_judge(*zip(*known, strict=True))
    motions, angles = heads(20, wide=1.05)
    assert np.abs(judge.angles(motions) - angles).mean() < 0.06
    own, again, other = (judge.proportions(heads(seed, wide=wide)[0]) for seed, wide in ((21, 1), (22, 1), (23, 1.2)))
    assert np.linalg.norm(own - again) < 0.5 * np.linalg.norm(own - other)


@pytest.fixture
def small(monkeypatch, tmp_path):
    generator = np.random.default_rng(0)

    def draw(region, count, num_frames, size, split="test"):
        frames = generator.integers(0, 256, (count, num_frames, 8, 8, 3), dtype=np.uint8)
        large = frames.repeat(size // 8, 2).repeat(size // 8, 3)
        angles = generator.normal(0, 0.3, (num_frames, 3)).astype(np.float32)
        return [{"frames": one, "angles": angles, "name": f"{region}-{split}-{i}"} for i, one in enumerate(large)]

    class Reader(tiny_first_order.Reader):
        def estimate(self, frames):
            return np.zeros((len(frames), 18, 2), np.float32), np.ones((len(frames), 18), np.float32)

    monkeypatch.setattr(drive_cases, "draw", draw)
    monkeypatch.setattr(picture_reader, "PictureReader", Reader)
    monkeypatch.setattr(system, "PictureReader", Reader)
    monkeypatch.setattr(perceptual, "open_distances", lambda asked: Distances())
    monkeypatch.setattr(drive_suite, "_JUDGE_CLIPS", 3)
    return tiny_first_order.write(tmp_path)


def test_the_suite_from_end_to_end(small):
    suite = DriveSuite(DriveSuite.Options(weights=str(small), num_cases=2, num_frames=2))
    found = dict(suite.run())
    wanted = {"drive.face.ssim", "drive.face.first_frame_ssim", "drive.face.ssim_gain", "drive.face.l1",
              "drive.face.lpips", "drive.face.keypoint_distance", "drive.face.missing_keypoints",
              "drive.identity_ratio", "drive.pose_ratio"}  # fmt: skip
    assert wanted <= found.keys() and all(np.isfinite(list(found.values())))
    assert found["drive.face.keypoint_distance"] == 0 and found["drive.face.missing_keypoints"] == 0
    assert len(suite.pictures) == 2 and suite.texts["protocol"]["split_hash"]
    assert "drive.face.ssim" in "".join(suite.sections(found))


def test_mistakes_die_in_a_sentence(tmp_path):
    with pytest.raises(UserError, match="none of"):
        DriveSuite(DriveSuite.Options(region="hand"))
    with pytest.raises(UserError, match="no clips"):
        drive_cases.read_folder(str(tmp_path), "face", 4, 64, None)
