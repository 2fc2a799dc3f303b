"""Parsing photos: CCP's tables, skin told apart by limbs, labelled photos of a dataset and the suite `ccp`."""

import json
import types

import cv2
import numpy as np
import pytest

from vton_jax.core import keypoints, label_tables, segmentation
from vton_jax.core.errors import UserError
from vton_jax.evaluate import ccp_parsing
from vton_jax.inputs import ccp, labelled_photos, splits
from vton_jax.reading import skin
from vton_jax.reading.picture_reader import PictureReader

ID = segmentation.ID
SKIN = label_tables.CCP_SKIN
SHOES = label_tables.CCP_LABELS.index("boots")


# --- tables ----------------------------------------------------------------------------------------------------------


def test_every_name_of_ccp_has_one_label():
    assert len(label_tables.CCP_LABELS) == 59 == len(set(label_tables.CCP_LABELS))
    unsettled = {
        n for n, label in zip(label_tables.CCP_LABELS, label_tables.LABEL_FROM_CCP, strict=True) if label == 255
    }
    assert unsettled == {"skin", *(label_tables.CCP_LABELS[i] for i in label_tables.CCP_FOOTWEAR)}
    for name, label in {"null": "background", "jeans": "pants", "coat": "upper-clothes", "romper": "dress"}.items():
        assert label_tables.LABEL_FROM_CCP[label_tables.CCP_LABELS.index(name)] == ID[label]


def test_merging_ccps_own_ids_or_ours_is_the_same():
    """The score compares the truth's merged ids with ours: both ways around must meet, whatever limb skin becomes."""
    for index, name in enumerate(label_tables.CCP_LABELS):
        ours = [label_tables.LABEL_FROM_CCP[index]]
        if name == "skin":
            ours = [ID[n] for n in ("face", "left-arm", "right-arm", "left-leg", "right-leg")]
        elif index in label_tables.CCP_FOOTWEAR:
            ours = segmentation.SHOES
        assert {label_tables.CCP_MERGED_FROM_LABEL[label] for label in ours} == {
            label_tables.CCP_MERGED_FROM_CCP[index]
        }
    assert set(label_tables.CCP_MERGED_FROM_CCP) == set(range(len(label_tables.CCP_MERGED_LABELS)))


# --- skin ------------------------------------------------------------------------------------------------------------

STANDING = {
    "nose": (50, 20), "neck": (50, 40), "right-shoulder": (38, 42), "right-elbow": (30, 65), "right-wrist": (28, 85),
    "left-shoulder": (62, 42), "left-elbow": (70, 65), "left-wrist": (72, 85), "right-hip": (43, 90),
    "right-knee": (42, 125), "right-ankle": (42, 160), "left-hip": (57, 90), "left-knee": (58, 125),
    "left-ankle": (58, 160),
}  # fmt: skip


def standing():
    points, visible = np.zeros((18, 2), np.float32), np.zeros(18, bool)
    for name, at in STANDING.items():
        points[keypoints.ID[name]], visible[keypoints.ID[name]] = at, True
    return points, visible


def blots(places, value, size=(180, 100)):
    ids = np.zeros(size, np.uint8)
    for x, y in places:
        ids[y - 3 : y + 4, x - 3 : x + 4] = value
    return ids


@pytest.mark.parametrize(
    ("place", "label"),
    [
        ((50, 18), "face"), ((50, 50), "face"), ((30, 75), "right-arm"), ((72, 95), "left-arm"),
        ((42, 110), "right-leg"), ((58, 140), "left-leg"),
    ],
)  # fmt: skip
def test_skin_goes_to_the_nearest_limb(place, label):
    labels = skin.split(blots([place], SKIN), *standing())
    assert labels[place[1], place[0]] == ID[label]
    assert (labels > 0).sum() == 49  # nothing else is touched


def test_a_hand_beside_the_thigh_stays_a_hand():
    points, visible = standing()
    hand = blots([(70, 94)], SKIN)  # 12 pixels from the thigh's bone, 9 from the wrist
    hand[90:130, 52:63] = SKIN  # the bare thigh itself
    labels = skin.split(hand, points, visible)
    assert labels[95, 71] == ID["left-arm"] and labels[110, 58] == ID["left-leg"]


def test_footwear_goes_to_its_foot():
    labels = skin.split(blots([(40, 165), (60, 165)], SHOES), *standing())
    assert labels[165, 40] == ID["right-shoe"] and labels[165, 60] == ID["left-shoe"]


def test_without_a_pose_skin_is_unknown():
    labels = skin.split(blots([(50, 20)], SKIN), np.zeros((18, 2), np.float32), np.zeros(18, bool))
    assert labels[20, 50] == segmentation.UNKNOWN and labels[100, 50] == 0


def test_the_mirrored_photo_has_the_mirrored_labels():
    ids = blots([(50, 18), (30, 75), (58, 140)], SKIN) + blots([(40, 165)], SHOES)
    points, visible = standing()
    mirrored = skin.split(ids[:, ::-1].copy(), *keypoints.mirror(points, visible, 100))
    np.testing.assert_array_equal(mirrored, segmentation.mirror(skin.split(ids, points, visible)))


# --- labelled photos -------------------------------------------------------------------------------------------------


def coloured(seed=0):
    """A photo whose colour says its label."""
    generator = np.random.default_rng(seed)
    labels = np.zeros((96, 64), np.uint8)
    for label in (4, 6, 11, 14):
        y, x = generator.integers(0, 70), generator.integers(0, 44)
        labels[y : y + 24, x : x + 20] = label
    return segmentation.PALETTE[labels], labels


class Prepared:
    """What is asked of a prepared dataset: two photos with labels, one without."""

    def __init__(self, features=("image", "segmentation")):
        self.info = types.SimpleNamespace(splits=("train", "validation"), features=features)

    def as_data_source(self, split):
        photo, labels = coloured()
        unknown = np.full_like(labels, segmentation.UNKNOWN)
        return [{"image": photo, "segmentation": a[..., None]} for a in (labels, unknown, labels)]


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets")
    (tmp_path / "dataset_info.json").write_text("{}")
    monkeypatch.setattr(tfds, "builder_from_directory", lambda folder: Prepared())
    return tmp_path


def test_photos_of_a_prepared_dataset_come_with_their_labels(prepared):
    photos, labels = labelled_photos.read(prepared, "train")
    height = labelled_photos.HEIGHT
    assert [a.shape for a in photos] == 2 * [(height, height * 64 // 96, 3)]  # one has no labels
    for photo, parsed in zip(photos, labels, strict=True):
        assert not (parsed == segmentation.UNKNOWN).any() and set(np.unique(parsed)) == {0, 4, 6, 11, 14}
        apart = np.abs(photo.astype(int) - segmentation.PALETTE[parsed]).max(-1)
        assert (apart < 60).mean() > 0.95  # but for the mixed colours of edges


def test_a_dataset_without_labels_or_split_dies_in_a_sentence(prepared, monkeypatch):
    import tensorflow_datasets as tfds

    with pytest.raises(UserError, match="no split 'test'"):
        labelled_photos.read(prepared, "test")
    monkeypatch.setattr(tfds, "builder_from_directory", lambda folder: Prepared(("input_image",)))
    with pytest.raises(UserError, match="no photos with label maps"):
        labelled_photos.read(prepared, "train")


def test_labels_of_another_table_die_in_a_sentence(prepared, monkeypatch):
    import tensorflow_datasets as tfds

    class Other(Prepared):
        def as_data_source(self, split):
            examples = super().as_data_source(split)
            examples[2]["segmentation"][3, 2] = 19  # LIP's right shoe
            return examples

    monkeypatch.setattr(tfds, "builder_from_directory", lambda folder: Other())
    with pytest.raises(UserError, match="has the label 19, but ATR's labels end at 17"):
        labelled_photos.read(prepared, "train")


# --- the suite -------------------------------------------------------------------------------------------------------


def test_merged_scores_against_counting():
    generator = np.random.default_rng(0)
    truth, read = generator.integers(0, 10, 5000), generator.integers(0, 10, 5000)
    read = np.where(generator.random(5000) < 0.6, truth, read)
    matrix = np.zeros((10, 11), np.int64)
    np.add.at(matrix, (truth, read), 1)
    scores = ccp_parsing.merged_scores(matrix)
    names = label_tables.CCP_MERGED_LABELS
    for region, members in ccp_parsing.REGIONS.items():
        there, found = (np.isin(a, [names.index(n) for n in members]) for a in (truth, read))
        assert scores[f"iou_{region}"] == pytest.approx((there & found).sum() / (there | found).sum())
    each = [((truth == i) & (read == i)).sum() / ((truth == i) | (read == i)).sum() for i in range(10)]
    assert scores["miou"] == pytest.approx(np.mean(each)) and scores["hair"] == pytest.approx(each[names.index("hair")])


@pytest.fixture
def tiny_ccp(tmp_path):
    """Two photos of one grey scene with a labelled middle."""
    for name in ("photos", "labels"):
        (tmp_path / name).mkdir()
    (tmp_path / "labels.json").write_text(json.dumps(label_tables.CCP_LABELS))
    for number in ("0003", "0004"):
        ids = np.zeros((90, 60), np.uint8)
        ids[20:70, 20:40] = label_tables.CCP_LABELS.index("dress")
        cv2.imwrite(str(tmp_path / "photos" / f"{number}.jpg"), np.full((90, 60, 3), 128, np.uint8))
        cv2.imwrite(str(tmp_path / "labels" / f"{number}.png"), ids)
    return tmp_path


def test_the_folder_is_read_and_mistakes_are_named(tiny_ccp, tmp_path):
    assert ccp.numbers(tiny_ccp) == ["0003", "0004"]
    listed = tmp_path / "ids.txt"
    listed.write_text("0004\n")
    assert ccp.numbers(tiny_ccp, listed) == ["0004"]
    listed.write_text("0005\n")
    with pytest.raises(UserError, match="0005"):
        ccp.numbers(tiny_ccp, listed)
    cv2.imwrite(str(tiny_ccp / "labels" / "0003.png"), np.zeros((10, 10), np.uint8))
    with pytest.raises(UserError, match=r"0003\.png is no label map"):
        ccp.read(tiny_ccp, "0003")
    with pytest.raises(UserError, match="no Clothing Co-Parsing folder"):
        ccp.numbers(tmp_path / "photos")


EVALUATE = ("vton_jax.evaluate.__main__", "--suite=ccp")


def test_the_suite_writes_numbers_with_their_protocol(command, capsys, tiny_ccp, tmp_path):
    command(*EVALUATE, f"--data={tiny_ccp}", f"--output={tmp_path / 'out'}", "--ccp_parts=parsing")
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["num_photos"] == 1 and results["ccp.protocol.split_hash"] == splits.split_hash(["0003"])
    for who in ("ccp", "ccp.reader_once"):
        assert {f"{who}.{name}" for name in ("iou_person", "iou_clothes", "iou_skin", "iou_hair", "miou")} <= set(
            results
        )
    assert results["ccp.hat"] is None  # the photo shows none
    assert 0 <= results["ccp.null"] <= 1 and f"{results['ccp.null']:.4f}" in capsys.readouterr().out
    assert "data:image/png" in (tmp_path / "out" / "report.html").read_text()


def test_the_suite_without_its_data_dies_in_a_sentence(command, capsys, tmp_path):
    with pytest.raises(SystemExit) as stopped:
        command(*EVALUATE, f"--output={tmp_path / 'out'}")
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and "--data=DIR" in said and len(said.strip().splitlines()) == 1


# --- what reads photos -----------------------------------------------------------------------------------------------


def test_the_released_reader_reads_real_photos(test_data):
    """On 5 of the validation photos; what the whole set gives stands in docs/evaluation.md."""
    folder = test_data / "ccp"
    numbers = [number for number in ccp.numbers(folder) if ccp.is_validation(number)][::25]
    reader, matrix = PictureReader(), np.zeros((10, 11), np.int64)
    for number in numbers:
        photo, ids = ccp.read(folder, number)
        read = label_tables.CCP_MERGED_FROM_LABEL[reader.read(photo).segmentation]
        np.add.at(matrix, (label_tables.CCP_MERGED_FROM_CCP[ids].ravel(), read.ravel()), 1)
    scores = ccp_parsing.merged_scores(matrix)
    assert scores["iou_person"] > 0.88 and scores["iou_clothes"] > 0.8
