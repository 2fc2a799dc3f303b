"""The benchmark: its truth scores best, scores see what they are named after, cases are the same every time."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from vton_jax.benchmark import cases, measures, methods, scoring
from vton_jax.catalogue import examples
from vton_jax.core import segmentation
from vton_jax.core.errors import UserError
from vton_jax.core.keypoints import ID as JOINTS

ROOT = Path(__file__).resolve().parents[2]
SIZE, COUNT = (128, 96), 4


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    return folder, cases.export(folder, COUNT, SIZE)


def test_cases_are_complete_and_of_unseen_people(exported):
    folder, _ = exported
    rows = cases.listed(folder / "given")
    assert len(rows) == COUNT and {row["cloth_is"] for row in rows} == {"cloth", "cloth-worn"}
    for row in rows:
        for kind in (*cases.GIVEN, "target-mask"):
            picture = cases.read_picture(folder / "given" / "test" / kind / f"{row['case']}.png")
            assert picture.shape[:2] == SIZE
        mask = cases.read_picture(folder / "given" / "test" / "target-mask" / f"{row['case']}.png")
        labels = cases.read_picture(folder / "truth" / "labels" / f"{row['case']}.png")
        np.testing.assert_array_equal(mask > 0, labels > 0)
        facts = json.loads((folder / "truth" / "about" / f"{row['case']}.json").read_text())
        garment = segmentation.region(labels, segmentation.TARGET_LABELS[row["garment_type"]])
        assert garment.mean() > 0.01 and facts["garment_type"] == row["garment_type"]
    joints = json.loads((folder / "given" / "test" / "openpose_json" / "00000_pose_keypoints.json").read_text())
    assert len(joints["people"][0]["pose_keypoints_2d"]) == 54


def test_the_same_cases_every_time_and_after_a_stop(exported, tmp_path):
    folder, digest = exported
    shutil.copytree(folder, tmp_path / "again")
    for path in (tmp_path / "again" / "truth" / "about").glob("0000[13].json"):
        path.unlink()
    assert cases.export(tmp_path / "again", COUNT, SIZE) == digest
    assert digest in (folder / "given" / "README.md").read_text()
    with pytest.raises(UserError, match="other cases"):
        cases.export(folder, COUNT + 1, SIZE)


def test_the_truth_scores_best_and_baselines_below(exported, tmp_path):
    folder, _ = exported
    for method in methods.BASELINES:
        assert methods.answer(folder / "given", tmp_path / method, method) == COUNT
    shutil.copytree(folder / "truth" / "image", tmp_path / "perfect")
    found = {}
    for name in (*methods.BASELINES, "perfect"):
        assert f"{COUNT} cases" in scoring.score(tmp_path / name, folder / "truth")
        found[name] = json.loads((tmp_path / name / "results.json").read_text())["scores"]
    for name in ("ssim", "ssim_garment", "garment_colour", "face_kept"):
        assert found["perfect"][name] == pytest.approx(1)
        assert all(found[other][name] < 0.9 for other in methods.BASELINES)
    assert found["perfect"]["print_correlation"] in (None, pytest.approx(1))
    assert any(key.startswith("ssim.turn.") for key in found["user"])


def test_missing_and_broken_answers_are_a_sentence(exported, tmp_path):
    folder, _ = exported
    with pytest.raises(UserError, match=f"lacks {COUNT} of {COUNT} answers"):
        scoring.score(tmp_path, folder / "truth")
    with pytest.raises(UserError, match="holds no truth"):
        scoring.score(tmp_path, folder / "given")
    with pytest.raises(UserError, match="holds no cases"):
        methods.answer(folder / "truth", tmp_path, "user")
    for path in (folder / "truth" / "image").iterdir():
        (tmp_path / path.name).write_bytes(b"no picture")
    with pytest.raises(UserError, match="missing or no picture"):
        scoring.score(tmp_path, folder / "truth")


def test_the_command_says_what_it_can_do():
    for words in ([], ["scor"]):
        command = [sys.executable, "-m", "vton_jax.benchmark", *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 2 and "export|answer|score" in done.stderr and "Traceback" not in done.stderr


@pytest.fixture
def scene():
    """A red striped top with bare arms on grey, in a picture of its own."""
    labels = np.zeros((120, 90), np.uint8)
    labels[20:40, 35:55] = segmentation.ID["face"]
    labels[40:85, 25:65] = segmentation.ID["upper-clothes"]
    labels[85:118, 30:60] = segmentation.ID["pants"]
    labels[60:85, 15:25], labels[60:85, 65:75] = (segmentation.ID[f"{side}-arm"] for side in ("right", "left"))
    colours = {"face": (0.8, 0.6, 0.5), "upper-clothes": (0.8, 0.1, 0.1), "pants": (0.1, 0.2, 0.6)}
    picture = np.full((120, 90, 3), 0.5, np.float32)
    for name in ("left-arm", "right-arm"):
        picture[labels == segmentation.ID[name]] = colours["face"]
    for name, colour in colours.items():
        picture[labels == segmentation.ID[name]] = colour
    stripes = (np.arange(120) // 3 % 2 == 0)[:, None] & (labels == segmentation.ID["upper-clothes"])
    picture[stripes] = (0.95, 0.9, 0.9)
    points, visible = np.zeros((18, 2), np.float32), np.zeros(18, bool)
    for name, place in {"neck": (45, 40), "left-wrist": (70, 82), "right-wrist": (20, 82)}.items():
        points[JOINTS[name]], visible[JOINTS[name]] = place, True
    facts = {"keypoints": points.tolist(), "visible": visible.tolist(), "garment_type": "upper"}
    return picture, labels, facts


def test_each_score_sees_its_own_fault(scene):
    truth, labels, facts = scene
    perfect = measures.case_scores(truth, truth, labels, facts)
    assert all(value == pytest.approx(1, abs=1e-6) for value in perfect.values())
    id_ = segmentation.ID

    def fault(change):
        answer = truth.copy()
        change(answer)
        return measures.case_scores(answer, truth, labels, facts)

    def shifted(answer):
        answer[40:85, 25:65] = truth[43:88, 25:65]  # by one stripe
        answer[82:85, 25:65] = answer[76:79, 25:65]

    found = fault(shifted)
    assert found["print_correlation"] < -0.5 and found["face_kept"] == 1
    found = fault(lambda a: a.__setitem__(labels == id_["face"], (0.2, 0.3, 0.2)))
    assert found["face_kept"] < 0.1 and found["garment_colour"] == 1 and found["hands"] == 1
    found = fault(lambda a: a.__setitem__((slice(70, 85), slice(65, 75)), (0.9, 0.9, 0.1)))
    assert found["hands"] < 0.7 and found["face_kept"] == 1
    longer = fault(lambda a: a.__setitem__((slice(85, 92), slice(30, 60)), (0.8, 0.1, 0.1)))
    assert longer["hems"] < 0.7 and longer["sleeves"] == pytest.approx(1, abs=1e-6)
    sleeved = fault(lambda a: a.__setitem__(np.isin(labels, segmentation.ARMS), (0.8, 0.1, 0.1)))
    assert sleeved["sleeves"] < 0.7 and sleeved["hems"] > 0.9


def test_paste_lays_the_garment_on_the_shoulders():
    user, cloth = np.full((120, 90, 3), 100, np.uint8), np.full((120, 90, 3), 255, np.uint8)
    cloth[20:100, 20:70] = (200, 0, 0)
    joints = np.zeros((18, 3))
    for name, place in {"neck": (45, 40), "right-shoulder": (35, 40), "left-shoulder": (55, 40)}.items():
        joints[JOINTS[name]] = (*place, 1)
    rows, columns = np.nonzero(methods.paste(user, cloth, joints, "upper")[..., 0] > 150)
    assert abs(columns.mean() - 45) < 1 and 30 < rows.min() < 40 and np.ptp(columns) == pytest.approx(38, abs=3)
    np.testing.assert_array_equal(methods.paste(user, cloth, np.zeros((18, 3)), "upper"), user)


def test_the_pose_picture_shows_somebody_else_in_the_outputs_pose():
    number = examples.number_that_lies_flat(0, cases.SPLIT)
    drawn = examples.draw(number, cases.SPLIT, SIZE, pose_picture=True)
    assert drawn["pose_image"].shape == (*SIZE, 3)
    assert (drawn["pose_image"] != drawn["output_image"]).mean() > 0.5
    without = examples.draw(number, cases.SPLIT, SIZE)
    np.testing.assert_array_equal(without["output_image"], drawn["output_image"])
    assert cv2.absdiff(drawn["pose_image"], drawn["input_image"]).any()
