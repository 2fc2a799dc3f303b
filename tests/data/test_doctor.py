"""What the doctor says of a folder, and what the builder makes of a damaged one."""

import json
import re
import shutil
import sys
from pathlib import Path

import field_folders
import numpy as np
import pytest

from vton_jax.core import segmentation
from vton_jax.core.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
tfds = pytest.importorskip("tensorflow_datasets")

from data import prepare
from data.ccp import ccp
from data.deepfashion import deepfashion
from data.dress_code import dress_code
from data.viton import viton
from data.viton_hd import viton_hd


def test_doctor_finds_nothing_serious_in_what_can_be_built(tmp_path):
    makers = {viton: field_folders.viton, viton_hd: field_folders.viton_hd, dress_code: field_folders.dress_code,
              deepfashion: field_folders.deepfashion, ccp: field_folders.ccp}  # fmt: skip
    for module, make in makers.items():
        text, serious = field_folders.told(module, make(tmp_path / make.__name__))
        assert not serious and "Nothing keeps it from being prepared" in text, text


def damage_rename(source):
    (source / "test" / "cloth-mask").rename(source / "test" / "cloth_masks")


def damage_photo(source):
    (source / "train" / "image" / "00001_00.jpg").unlink()


def damage_extension(source):
    photo = source / "train" / "cloth" / "00002_00.jpg"
    photo.rename(photo.with_suffix(".png"))


def damage_size(source):
    field_folders.write(source / "train" / "image-parse-v3" / "00001_00.png", np.zeros((10, 10), np.uint8))


def damage_bytes(source):
    path = source / "test" / "image" / "00006_00.jpg"
    path.write_bytes(path.read_bytes()[:200])


def damage_pose(source):
    flat = np.concatenate([field_folders.points("x", 25) + 500, np.ones((25, 1))], -1).ravel().tolist()
    for path in (source / "test" / "openpose_json").iterdir():
        path.write_text(json.dumps({"people": [{"pose_keypoints_2d": flat}]}))


def damage_lists(source):
    text = (source / "train_pairs.txt").read_text()
    (source / "test_pairs.txt").write_text(text + (source / "test_pairs.txt").read_text())


def damage_list_name(source):
    (source / "train_pairs.txt").rename(source / "train_pair.txt")


def damage_labels(source):
    shutil.rmtree(source / "train" / "image-parse-v3")


@pytest.mark.parametrize(
    ("damage", "said", "serious"),
    [
        (damage_rename, "Rename .*cloth_masks to cloth-mask", False),
        (damage_photo, "train: the person photo of 1 of 2 is missing .00001_00.", True),
        (damage_extension, "has 00002_00.png where 00002_00.jpg is expected", True),
        (damage_size, "is 10x10, its photo 48x64", True),
        (damage_bytes, "00006_00.jpg is (damaged|a damaged)", True),
        (damage_pose, "keypoints lie outside of the photo in 2 of 2", True),
        (damage_lists, "2 people are in train and in test", True),
        (damage_list_name, "Rename train_pair.txt to train_pairs.txt", True),
        (damage_labels, "train: no label map is there", False),
    ],
)
def test_doctor_says_what_is_wrong_and_how_to_mend_it(tmp_path, damage, said, serious):
    source = field_folders.viton_hd(tmp_path / "hd")
    damage(source)
    text, found = field_folders.told(viton_hd, source)
    assert re.search(said, text), text
    assert found == serious, text


def test_doctor_looks_around(tmp_path):
    field_folders.viton_hd(tmp_path / "outer" / "zalando")
    text, serious = field_folders.told(viton_hd, tmp_path / "outer")
    assert serious and f"Give --source={tmp_path / 'outer' / 'zalando'}" in text
    text, _ = field_folders.told(viton_hd, tmp_path / "outer" / "zalando" / "test")
    assert "one split alone" in text
    text, _ = field_folders.told(viton_hd, tmp_path / "none")
    assert "there is no folder" in text


def test_missing_photos_leave_pairs_out_and_missing_labels_are_unknown(tmp_path, capsys):
    source = field_folders.viton_hd(tmp_path / "hd")
    damage_photo(source)
    damage_labels(source)
    splits = field_folders.built(viton_hd, source, tmp_path / "data")
    assert "train: 1 of 2 pairs are left out" in capsys.readouterr().err
    (example,) = splits["train"].values()
    assert (example["segmentation"] == segmentation.UNKNOWN).all() and example["visible"].any()
    damage_bytes(source)
    with pytest.raises(UserError, match=r"00006_00.jpg is"):
        prepare.build(viton_hd, source, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_commands(build_script, tmp_path):
    source = field_folders.viton_hd(tmp_path / "hd")
    code, said, wrong = build_script("doctor", "--dataset=viton_hd", f"--source={source}")
    assert code == 0 and "2 train, 2 test, 2 test_unpaired can be read" in said, wrong
    damage_photo(source)
    assert build_script("doctor", "--dataset=viton_hd", f"--source={source}")[0] == 1
    code, _, wrong = build_script("doctor", "--dataset=viton_hp", f"--source={source}")
    assert code == 2 and "did you mean viton_hd" in wrong
