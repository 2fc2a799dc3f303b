"""data/build.py pictures: what files for ReaderCNN are made from, and what is said where they cannot be."""

import cv2
import drawn_pictures
import numpy as np
import pytest

from data import pictures as command
from vton_jax.core import keypoints, segmentation
from vton_jax.core.errors import UserError
from vton_jax.inputs import pictures
from vton_jax.models.reader_cnn import KINDS, SLEEVES, TYPES


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--kind=hats", "--source=.", "--data_dir=."), "--kind=hats is none of people, unlabelled, chosen_by"),
        (("--kind=nothing",), "Give --kind=KIND, --source=DIR"),
    ],
)
def test_mistakes_are_a_sentence(build_script, arguments, said):
    code, _, wrong = build_script("pictures", *arguments)
    assert code == 2 and said in wrong and len(wrong.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("nothing", "holds no pictures of places"), ("garments", r"holds no photos as TYPE/\*\.jpg"),
        ("people", "Give --pose_model=FILE"), ("cut_outs", "cannot be read"),
    ],
)  # fmt: skip
def test_what_nothing_can_be_made_from_is_a_sentence(kind, said, tmp_path):
    with pytest.raises(UserError, match=said):
        command.build(str(tmp_path), str(tmp_path / "out"), command.Settings(kind=kind))
    assert not (tmp_path / "out" / f"{kind}.npz").exists()


def test_nothing_shows_places_and_tables(tmp_path):
    for number in (0, 1, 2, 3, 4, 5):
        cv2.imwrite(str(tmp_path / f"{number:04d}.jpg"), np.full((48, 64, 3), 40 * number, np.uint8))
    found = pictures.read(command.build(str(tmp_path), str(tmp_path), command.Settings(kind="nothing")))
    whole = [tuple(shown) for shown in found["shown"]]
    assert whole.count((216, 288)) == 4  # places are enlarged to the canvas; 1 and 3 are kept for scoring
    assert (found["kind"] == KINDS.index("none")).all() and len(whole) > 4
    assert found["image"].shape[1:] == (*command.CANVAS, 3)
    for labels, (height, width) in zip(found["segmentation"], whole, strict=True):
        assert not labels[:height, :width].any()


def test_garments_are_cut_out_of_photos(tmp_path):
    source = drawn_pictures.write(tmp_path / "people.npz", [drawn_pictures.person(), drawn_pictures.garment(kind=1)])
    (made,) = [command.build(source, str(tmp_path), command.Settings(kind="cut_outs"))]
    found = pictures.read(made)
    upper, dress = (segmentation.ID[name] for name in ("upper-clothes", "dress"))
    assert [TYPES[kind] for kind in found["garment_type"]] == ["upper", "dress"]
    assert (found["kind"] == KINDS.index("garment")).all() and (found["sleeves"] == -1).all()
    assert set(np.unique(found["segmentation"][0])) == {0, upper, segmentation.UNKNOWN}
    assert set(np.unique(found["segmentation"][1])) == {0, dress, segmentation.UNKNOWN}
    left, top, _, _ = drawn_pictures.BOX
    low = np.array([max(left - 12, 0), max(top - 12, 0)])
    for name, (x, y) in drawn_pictures.MARKS.items():  # those that lie on the top are known, and go with it
        joint = keypoints.ID[name]
        assert found["known"][0, joint] == (y < 44)
        np.testing.assert_allclose(found["keypoints"][0, joint], np.array([x, y]) - low)
    height, width = found["shown"][0]
    image, labels = found["image"][0, :height, :width], found["segmentation"][0, :height, :width]
    assert np.median(image[labels == 0]) > 195 and np.median(image[labels == upper]) < 170


def test_flat_photos_get_masks_where_the_garment_stands_out(tmp_path):
    generator = np.random.default_rng(0)
    clear = np.clip(generator.normal(235, 3, (128, 96, 3)), 0, 255)
    clear[30:110, 25:71] = np.clip(generator.normal(60, 5, (80, 46, 3)), 0, 255)
    hidden = generator.integers(0, 256, (128, 96, 3))
    for kind, image in (("t-shirt", clear), ("skirt", hidden), ("dress", clear)):
        (tmp_path / kind).mkdir()
        cv2.imwrite(str(tmp_path / kind / "0.jpg"), image.astype(np.uint8))
    found = pictures.read(command.build(str(tmp_path), str(tmp_path), command.Settings(kind="garments")))
    order = ["t-shirt", "dress", "skirt"]
    assert [TYPES[kind] for kind in found["garment_type"]] == ["upper", "dress", "lower"]
    assert [kind if kind < 0 else SLEEVES[kind] for kind in found["sleeves"]] == ["short", -1, -1]
    for row, name in enumerate(order):
        height, width = found["shown"][row]
        labels = found["segmentation"][row, :height, :width]
        if name == "skirt":
            assert (labels == segmentation.UNKNOWN).all()
            continue
        label = segmentation.ID["dress" if name == "dress" else "upper-clothes"]
        assert (height, width) == (256, 192) and set(np.unique(labels)) == {0, label}
        assert labels[120, 96] == label and labels[20, 20] == 0 and 0.2 < (labels > 0).mean() < 0.4
    assert not found["known"].any() and not found["facing"].any()


def test_facing_is_the_turn_of_shoulders_and_hips():
    """Landmarks in space as MediaPipe has them: x to the right, y down, z away from the camera."""
    seen = np.ones(33)
    for turn in np.deg2rad([0, 50, -70, 160]):
        points = np.zeros((33, 3))
        for left, right, width in ((11, 12, 0.4), (23, 24, 0.3)):  # facing the camera, their left is on the right
            to_left = np.array([np.cos(turn), 0, np.sin(turn)])
            points[left], points[right] = width / 2 * to_left, -width / 2 * to_left
        np.testing.assert_allclose(command.facing(points, seen), [np.sin(turn), np.cos(turn)], atol=1e-6)
    assert not command.facing(points, np.zeros(33)).any()
