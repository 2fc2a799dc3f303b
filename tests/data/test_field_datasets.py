"""The field's datasets: from folders in their layouts to the same features, paired and unpaired apart; the doctor."""

import shutil
import sys
from pathlib import Path

import cv2
import field_folders
import numpy as np
import pytest

from vton_jax.core import keypoints, label_tables, segmentation
from vton_jax.core.errors import UserError
from vton_jax.inputs import input_pipeline
from vton_jax.media import video_files

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
tfds = pytest.importorskip("tensorflow_datasets")

from data import field, formats, prepare
from data.ccp import ccp
from data.deepfashion import deepfashion
from data.dress_code import dress_code
from data.ubc_fashion import ubc_fashion
from data.viton import viton
from data.viton_hd import viton_hd
from data.vivid import vivid

MODULES = (viton, viton_hd, dress_code, deepfashion, ubc_fashion, vivid, ccp)


def decoded(path: Path) -> np.ndarray:
    return cv2.imread(str(path))[..., ::-1]


def test_all_have_the_same_features_and_say_where_they_are_from():
    for module in MODULES:
        folder = Path(module.__file__).parent
        assert {"README.md", "CITATIONS.bib", "TAGS.txt"} <= {path.name for path in folder.iterdir()}
        readme = (folder / "README.md").read_text()
        assert f"data/build.py {folder.name}" in readme and "Licence" in readme
        assert issubclass(module.Builder, field.Builder) and module.Builder.name == folder.name
        metadata = module.Builder.get_metadata()  # raises for a tag that TFDS does not know
        assert metadata.tags and metadata.citation.startswith("@") and metadata.description


def test_viton(tmp_path):
    source = field_folders.viton(tmp_path / "viton")
    splits = field_folders.built(viton, source, tmp_path / "data")
    assert {name: sorted(examples) for name, examples in splits.items()} == {
        "train": [(f"00000{n}_0", "", f"00000{n}_1") for n in (1, 2, 3)],
        "test": [("000011_0", "", "000011_1"), ("000012_0", "", "000012_1")],
        "test_unpaired": [("000011_0", "", "000012_1"), ("000012_0", "", "000011_1")],
    }
    example = splits["train"]["000002_0", "", "000002_1"]
    np.testing.assert_array_equal(example["image"], decoded(source / "train/image/000002_0.jpg"))
    np.testing.assert_array_equal(example["garment_image"], decoded(source / "train/cloth/000002_1.jpg"))
    np.testing.assert_array_equal(example["garment_mask"][..., 0] > 0, field_folders.mask() > 0)
    labels = label_tables.LABEL_FROM_CIHP[field_folders.ids("000002_0", 20)]
    np.testing.assert_array_equal(example["segmentation"][..., 0], labels)
    truth = field_folders.points("000002_0")
    np.testing.assert_allclose(example["keypoints"], truth, atol=1e-3)
    np.testing.assert_array_equal(example["visible"], truth[:, 0] > 0)
    assert example["source_image"].shape == (1, 1, 3) and not example["source_visible"].any()
    assert example["garment_type"] == segmentation.GARMENT_TYPES.index("upper")
    for split, examples in splits.items():
        assert {bool(e["paired"]) for e in examples.values()} == {split != "test_unpaired"}


@pytest.mark.parametrize("newer", [True, False])
def test_viton_hd_pairs_a_person_with_the_own_garment_whatever_the_list_says(tmp_path, newer):
    splits = field_folders.built(viton_hd, field_folders.viton_hd(tmp_path / "hd", newer), tmp_path / "data")
    assert sorted(splits["train"]) == [("00001_00", "", "00001_00"), ("00002_00", "", "00002_00")]
    assert sorted(splits["test"]) == [("00006_00", "", "00006_00"), ("00008_00", "", "00008_00")]
    assert sorted(splits["test_unpaired"]) == [("00006_00", "", "00008_00"), ("00008_00", "", "00006_00")]
    example = splits["train"]["00001_00", "", "00001_00"]
    body_25 = field_folders.points("00001_00", 25)
    for joint, place in (("nose", 0), ("left-wrist", 7), ("right-hip", 9), ("left-ankle", 14), ("left-ear", 18)):
        np.testing.assert_allclose(example["keypoints"][keypoints.ID[joint]], body_25[place], atol=1e-3)
    expected = label_tables.LABEL_FROM_CIHP[field_folders.ids("00001_00", 20)]
    np.testing.assert_array_equal(example["segmentation"][..., 0], expected)


def test_dress_code_knows_categories_and_scales_its_keypoints(tmp_path):
    source = field_folders.dress_code(tmp_path / "dress_code")
    place = prepare.build(dress_code, source, tmp_path / "data")
    examples = {
        (split, e["person_id"].decode(), e["garment_id"].decode()): e
        for split in ("train", "test", "test_unpaired")
        for e in tfds.builder_from_directory(str(place)).as_data_source(split)
    }
    expected = set()
    for category in dress_code.CATEGORIES:
        expected |= {("train", f"{category}/00000{n}", f"{category}/00000{n}") for n in "12"}
        expected |= {("test", f"{category}/00000{n}", f"{category}/00000{n}") for n in "34"}
        expected |= {("test_unpaired", f"{category}/00000{a}", f"{category}/00000{b}") for a, b in ("34", "43")}
    assert examples.keys() == expected
    for (split, person, _), example in examples.items():
        category, number = person.split("/")
        name = f"{category} {number}"
        assert example["paired"] == (split != "test_unpaired")
        assert segmentation.GARMENT_TYPES[example["garment_type"]] == dress_code.CATEGORIES[category]
        np.testing.assert_array_equal(example["segmentation"][..., 0], field_folders.ids(name, 18))
        truth = field_folders.points(name)
        np.testing.assert_array_equal(example["visible"], truth[:, 0] > 0)
        np.testing.assert_allclose(example["keypoints"], truth, atol=1e-3)
        assert ((example["garment_mask"][..., 0] > 0) == (field_folders.mask() > 0)).mean() > 0.97


def test_dress_code_mixed_up_lists_are_refused(tmp_path):
    source = field_folders.dress_code(tmp_path / "dress_code")
    here = source / "dresses"
    shutil.copy(here / "test_pairs_unpaired.txt", here / "test_pairs_paired.txt")
    with pytest.raises(UserError, match=r"test_pairs_paired.txt lists 000003_0 with 000004_1, which is no pair"):
        prepare.build(dress_code, source, tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(("size", "is_renamed"), [((256, 176), True), ((256, 256), False), ((1101, 750), True)])
def test_deepfashion_by_its_names(tmp_path, size, is_renamed):
    source = field_folders.deepfashion(tmp_path / "deepfashion", is_renamed, size)
    splits = field_folders.built(deepfashion, source, tmp_path / "data")
    a, b = (name.removesuffix(".jpg") for name in field_folders.DEEPFASHION_RENAMED["train"])
    assert sorted(splits["train"]) == [(a, b, ""), (b, a, "")] and len(splits["test"]) == 2
    example = splits["train"][b, a, ""]
    np.testing.assert_array_equal(example["image"].shape[:2], size)
    assert np.abs(example["image"].astype(int) - field_folders.picture(f"{b}.jpg", size)).mean() < 8
    assert np.abs(example["source_image"].astype(int) - field_folders.picture(f"{a}.jpg", size)).mean() < 8
    truth = field_folders.points(f"{b}.jpg", size=(256, 176)).round()
    scale = size[0] / 256
    across = 40 if size == (256, 256) else 0
    expected = (
        np.array([(truth[:, 0] + across + 0.5) * size[1] / (176 + 2 * across), (truth[:, 1] + 0.5) * scale]) - 0.5
    )
    seen = np.arange(18) != 2
    np.testing.assert_allclose(example["keypoints"][seen], expected.T[seen], atol=0.02)
    assert not example["visible"][2] and not example["keypoints"][2].any() and example["visible"][seen].all()
    assert (example["segmentation"] == segmentation.UNKNOWN).all()  # DeepFashion has no labels


def test_deepfashion_renaming():
    for split, names in field_folders.DEEPFASHION.items():
        assert tuple(map(deepfashion.renamed, names)) == field_folders.DEEPFASHION_RENAMED[split]
    assert deepfashion.renamed("x/" + names[0]) == field_folders.DEEPFASHION_RENAMED["test"][0]
    with pytest.raises(ValueError, match="is not GENDER"):
        deepfashion.renamed("train/photo.jpg")


def clip(path: Path, name: str, frames: int = 12) -> Path:
    """A clip whose frames get brighter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shades = (np.full((*field_folders.SIZE, 3), 20 * index, np.uint8) for index in range(frames))
    video_files.write_video(path, shades, 10)
    return path


def test_ubc_fashion_takes_frames_far_apart(tmp_path):
    source = tmp_path / "ubc"
    clip(source / "train" / "91a.mp4", "91a")
    for index in range(6):  # FOMM's form: frames
        field_folders.write(source / "test" / "91b" / f"{index:07d}.png", field_folders.picture(f"91b {index}"))
    body, valid = np.full((12, 18, 2), 0.5, np.float32), np.ones((12, 18), bool)
    body[5:, 0], valid[3:, 1] = (0.25, 0.75), False
    np.savez(source / "train" / "91a_dwpose.npz", body=body, valid=valid)
    splits = field_folders.built(ubc_fashion, source, tmp_path / "data", frames_per_video=3)
    first = "91a:00000"
    assert set(splits["train"]) == {("91a:00006", first, ""), ("91a:00011", first, "")}
    assert set(splits["test"]) == {("91b:00002", "91b:00000", ""), ("91b:00005", "91b:00000", "")}
    example = splits["train"]["91a:00011", first, ""]
    assert abs(int(example["image"].mean()) - 220) < 8 and example["source_image"].mean() < 8
    np.testing.assert_allclose(example["keypoints"][0], (0.25 * 48 - 0.5, 0.75 * 64 - 0.5))
    assert not example["visible"][1] and example["source_visible"].all()
    second = splits["test"]["91b:00002", "91b:00000", ""]
    np.testing.assert_array_equal(second["image"], field_folders.picture("91b 2"))
    assert not second["visible"].any()


def test_vivid_lists_and_front_views(tmp_path):
    source = tmp_path / "vivid"
    for category, names in (("upper_body", ("1", "2")), ("dresses", ("3",))):
        for name in names:
            clip(source / category / "videos" / f"{name}_detail.mp4", name)
            garment = field_folders.garment_on_white(name)
            field_folders.write(source / category / "images" / f"{name}_in_xl.jpg", garment)
    front = '{"video": "1_detail.mp4", "image": "1_in_xl.jpg", "type": "video", "front_seqs": [[2, 4], [8, 9]]}\n'
    still = '{"video": "9.jpg", "image": "9.jpg", "type": "image"}\n'
    field_folders.write_text(source / "upper_body" / "train_data.jsonl", front + still)
    entry = '{"subdir": "dresses", "video": "3_detail.mp4", "image": "%s_in_xl.jpg"}\n'
    field_folders.write_text(source / "test_data_180.jsonl", entry % "3")
    field_folders.write_text(source / "test_data_180_unpaired.jsonl", entry % "3")
    splits = field_folders.built(vivid, source, tmp_path / "data", frames_per_video=2)
    assert set(splits["train"]) == {("1_detail:00009", "1_detail:00002", "1_in_xl")}
    example = splits["test"]["3_detail:00011", "3_detail:00000", "3_in_xl"]
    assert example["garment_type"] == segmentation.GARMENT_TYPES.index("dress") and example["paired"]
    assert not any(e["paired"] for e in splits["test_unpaired"].values())
    agree = (example["garment_mask"][..., 0] > 0) == (field_folders.mask() > 0)
    assert agree.mean() > 0.97  # cut out of the white background


@pytest.mark.parametrize("mat", [False, True])
def test_ccp_keeps_validation_apart_from_what_resembles_it(tmp_path, mat, capsys):
    splits = field_folders.built(ccp, field_folders.ccp(tmp_path / "ccp", mat), tmp_path / "data")
    assert "0007 (as 0003)" in capsys.readouterr().err
    numbers = {name: sorted(person for person, _, _ in examples) for name, examples in splits.items()}
    assert numbers == {
        "train": ["0001", "0002", "0004", "0005", "0006"], "validation": ["0003"], "train_unlabelled": ["0008"]
    }  # fmt: skip
    example = splits["train"]["0002", "", ""]
    ids = field_folders.ids("0002", 59, (96, 72))
    np.testing.assert_array_equal(example["segmentation"][..., 0], label_tables.LABEL_FROM_CCP[ids])
    assert (splits["train_unlabelled"]["0008", "", ""]["segmentation"] == segmentation.UNKNOWN).all()


def test_another_source_is_seen(tmp_path):
    one = field_folders.viton(tmp_path / "viton")
    settings = viton.Settings()
    before = viton.Builder.fingerprint(one, settings)
    assert before == viton.Builder.fingerprint(field_folders.viton(tmp_path / "again"), settings)
    (one / "test_pairs.txt").write_text("000011_0.jpg 000011_1.jpg\n")
    assert viton.Builder.fingerprint(one, settings) != before


# --- real samples ----------------------------------------------------------------------------------------------------


def test_the_real_viton_sample(tmp_path, test_data):
    """The CP-VTON sample is one split without lists; its label maps are LIP in colours, and the same as grey ids."""
    sample, source = test_data / "tryon" / "viton_cpvton9", tmp_path / "viton"
    text, _ = field_folders.told(viton, sample)
    assert "one split alone" in text
    source.mkdir()
    (source / "test").symlink_to(sample)
    people = sorted(path.stem for path in (sample / "image").glob("*_0.jpg"))
    garments = sorted(path.stem for path in (sample / "cloth").glob("*_1.jpg"))
    write = "".join(f"{p}.jpg {g}.jpg\n" for p, g in zip(people, garments[::-1], strict=False))
    field_folders.write_text(source / "test_pairs.txt", write)
    splits = field_folders.built(viton, source, tmp_path / "data")
    assert len(splits["test_unpaired"]) == len(people) >= 7 and len(splits["test"]) >= 2
    for (person, _, _), example in splits["test_unpaired"].items():
        labels, skin = example["segmentation"][..., 0], segmentation.ARMS + segmentation.FACE
        assert set(np.unique(labels)) <= set(range(18)) and np.isin(labels, skin).mean() > 0.02
        torso = example["keypoints"][[keypoints.ID["right-shoulder"], keypoints.ID["left-shoulder"]]]
        assert example["visible"].sum() >= 8 and (torso[:, 0] > 0).all()
        if (sample / "image-parse-new" / f"{person}.png").exists():
            coloured = formats.read_ids(sample / "image-parse" / f"{person}.png")
            np.testing.assert_array_equal(coloured, formats.read_ids(sample / "image-parse-new" / f"{person}.png"))
        mask = example["garment_mask"][..., 0] > 0
        assert 0.1 < mask.mean() < 0.7 and example["garment_image"][~mask].mean() > 230


def test_the_real_pf_afn_sample(tmp_path, test_data):
    source = tmp_path / "pf_afn"
    shutil.copytree(test_data / "tryon" / "viton6_pfafn", source)
    people = sorted(path.name for path in (source / "test_img").glob("*.jpg"))
    garments = sorted(path.name for path in (source / "test_clothes").glob("*.jpg"))
    write = "".join(f"{p} {g}\n" for p, g in zip(people, garments, strict=True))
    field_folders.write_text(source / "test_pairs.txt", write)
    splits = field_folders.built(viton, source, tmp_path / "data")
    assert list(splits) == ["test_unpaired"] and len(splits["test_unpaired"]) == 6
    for example in splits["test_unpaired"].values():
        white = formats.mask_on_white(example["garment_image"], 4)
        mask = example["garment_mask"][..., 0] > 0
        assert (white & mask).sum() / (white | mask).sum() > 0.9  # ours against the given one


def test_the_real_clips(tmp_path, test_data):
    splits = field_folders.built(
        ubc_fashion, test_data / "video" / "ubc_fashion", tmp_path / "data", frames_per_video=3
    )
    assert list(splits) == ["test"] and len(splits["test"]) == 4
    for example in splits["test"].values():
        height, width = example["image"].shape[:2]
        assert example["visible"].sum() > 12
        places = example["keypoints"][example["visible"]].round().astype(int)
        inside = example["image"][places[:, 1].clip(0, height - 1), places[:, 0].clip(0, width - 1)]
        assert (inside < 250).any(-1).mean() > 0.9  # on the person, not on the white background
    splits = field_folders.built(vivid, test_data / "video" / "vivid_demo", tmp_path / "data", frames_per_video=2)
    assert list(splits) == ["test_unpaired"] and len(splits["test_unpaired"]) == 12


def test_the_real_ccp_leaves_out_exactly_the_known_copies(test_data):
    source = ccp.Source(test_data / "ccp", ccp.Settings())
    assert source.resembling_validation == {"0616": "0223", "0730": "0183", "1074": "0403"}
    pairs = source.pairs()
    assert all(pair.person.endswith("3") for pair in pairs["validation"])
    assert {name: len(part) for name, part in pairs.items()} == {
        "train": 800, "validation": 101, "train_unlabelled": 984
    }  # fmt: skip


def test_unpaired_examples_do_not_train(tmp_path):
    field_folders.built(viton, field_folders.viton(tmp_path / "viton"), tmp_path / "data")
    batch = next(input_pipeline.tfds_batches(tmp_path / "data", "train", 2, 0, (64, 48)))
    assert batch["donor_flat"].all()
    with pytest.raises(UserError, match="for evaluation, not for training"):
        next(input_pipeline.tfds_batches(tmp_path / "data", "test_unpaired", 2, 0, (64, 48)))


@pytest.mark.parametrize(
    ("module", "make"),
    [(m, getattr(field_folders, m.__name__.split(".")[1])) for m in (viton, viton_hd, dress_code, deepfashion, ccp)],
)
def test_what_macos_leaves_in_a_folder_is_no_part_of_a_dataset(tmp_path, module, make):
    """`._NAME` beside every file, and a byte-order mark before every list."""
    source = make(tmp_path / "source")
    before = module.Source(source, module.Settings()).pairs()
    for path in [path for path in source.rglob("*") if path.is_file()]:
        if path.suffix in (".txt", ".csv"):
            path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    marked = module.Source(source, module.Settings())
    assert marked.pairs() == before
    fingerprint = marked.fingerprint()
    for path in [path for path in source.rglob("*") if path.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(b"Mac OS X")
    after = module.Source(source, module.Settings())
    assert after.pairs() == before and after.fingerprint() == fingerprint


def test_clips_and_frames_without_what_macos_leaves(tmp_path):
    for name in ("train/a.mp4", "train/._a.mp4", "test/b/0001.png", "test/b/._0001.png", "test/.b/0001.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert [path.name for path in ubc_fashion.clips.frame_files(tmp_path / "test" / "b")] == ["0001.png"]
    clip(tmp_path / "train" / "a.mp4", "a")
    pairs = ubc_fashion.Source(tmp_path, ubc_fashion.clips.Settings()).pairs()
    assert {pair.person_id for pair in pairs["train"]} == {"a"} and not pairs.get("test")
