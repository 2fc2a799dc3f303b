"""Leakage: near-duplicates against copies made here, checks of prepared datasets, and the hash of a split."""

import sys
from pathlib import Path

import cv2
import field_folders
import numpy as np
import pytest

from vton_jax.core import segmentation
from vton_jax.inputs import input_pipeline, splits

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
pytest.importorskip("tensorflow_datasets")

from data import leakage, near_duplicates, prepare
from data.deepfashion import deepfashion
from data.viton import viton
from data.viton_hd import viton_hd


def scene(seed: int) -> np.ndarray:
    """A picture with detail at several scales, [240, 180, 3]."""
    generator = np.random.default_rng(seed)
    image = np.zeros((240, 180, 3), np.float32)
    for cells in ((4, 3), (16, 12), (48, 36)):
        part = generator.uniform(0, 255, (*cells, 3)).astype(np.float32)
        image += cv2.resize(part, (180, 240), interpolation=cv2.INTER_CUBIC) / 3
    return np.clip(image, 0, 255).astype(np.uint8)


def compressed(image, quality=40):
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


COPIES = {
    "compressed": compressed,
    "smaller": lambda image: cv2.resize(image, (90, 120), interpolation=cv2.INTER_AREA),
    "brighter": lambda image: np.clip(image.astype(int) + 25, 0, 255).astype(np.uint8),
    "shifted": lambda image: image[6:, 5:],
    "cropped": lambda image: image[8:-8, 6:-6],
    "mirrored": lambda image: compressed(image[:, ::-1]),
}


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_found_and_others_are_not(name):
    scenes = [scene(seed) for seed in range(12)]
    looks = [near_duplicates.look(image) for image in scenes]
    copies = [near_duplicates.look(np.ascontiguousarray(COPIES[name](image))) for image in scenes]
    found = near_duplicates.resembling(looks, copies)
    assert {(i, j) for i, j, *_ in found} == {(i, i) for i in range(12)}
    assert {mirrored for *_, mirrored in found} == {name == "mirrored"}


def test_a_mirrored_look_is_the_look_of_the_mirrored_picture():
    image = scene(3)
    turned, looked = near_duplicates.look(image).mirrored(), near_duplicates.look(image[:, ::-1].copy())
    assert near_duplicates.hash_distance(turned.bits, looked.bits) <= 2  # resizing rounds
    assert near_duplicates.hash_distance(turned.mirrored_bits, looked.mirrored_bits) <= 2
    assert np.abs(turned.edges.astype(int) - looked.edges).max() <= 2
    assert np.abs(turned.colours.astype(int) - looked.colours).max() <= 1


def test_hash_distance_against_counting():
    looks = [near_duplicates.look(scene(seed)) for seed in range(4)]
    bits = np.stack([look.bits for look in looks])
    for i in range(4):
        for j in range(4):
            slow = bin(int.from_bytes(bits[i].tobytes(), "big") ^ int.from_bytes(bits[j].tobytes(), "big")).count("1")
            assert near_duplicates.hash_distance(bits[i], bits[j]) == slow
    assert near_duplicates.resembling([], looks) == [] == near_duplicates.resembling(looks, [])


def test_another_colour_is_another_garment():
    image = field_folders.garment_on_white("shirt", (256, 192))
    red, blue = image.copy(), image.copy()
    red[16:48, 12:36, 1:], blue[16:48, 12:36, :2] = 0, 0
    red, blue = (cv2.resize(i[:64, :48], (192, 256), interpolation=cv2.INTER_NEAREST) for i in (red, blue))
    looks = [near_duplicates.look(i) for i in (red, blue)]
    assert not near_duplicates.resembling(looks[:1], looks[1:])
    assert near_duplicates.resembling(looks[:1], looks[:1])


def prepared(module, source, data_dir) -> Path:
    prepare.build(module, source, data_dir)
    return input_pipeline.find_dataset(data_dir)


def test_a_clean_dataset_passes_and_its_hash_names_the_split(tmp_path):
    folder = prepared(viton, field_folders.viton(tmp_path / "a"), tmp_path / "data")
    report = leakage.check(folder)
    assert report.problems == [] and report.pictures == 10 and len(report.hash) == 12
    assert set(report.hashes) == {"train", "test", "test_unpaired"}
    for split, digest in report.hashes.items():
        source, images = splits.read_undecoded(folder, split)
        rest = ({n: value for n, value in features.items() if n not in images} for features in source)
        assert splits.split_hash(map(splits.example_name, rest)) == digest
    # Prepared again it is the same; with another person in training it is not, but the test's is.
    again = leakage.check(prepared(viton, field_folders.viton(tmp_path / "b"), tmp_path / "again"))
    assert again.hashes == report.hashes and again.hash == report.hash
    more = field_folders.viton(tmp_path / "c", train=("000001", "000002", "000003", "000004"))
    other = leakage.check(prepared(viton, more, tmp_path / "more"))
    assert other.hashes["test"] == report.hashes["test"] and other.hashes["train"] != report.hashes["train"]
    assert other.hash != report.hash


def test_a_person_a_garment_and_a_copy_in_two_parts_are_named(tmp_path):
    source = field_folders.viton(tmp_path / "viton", test=("000011", "000002"))
    photo = cv2.imread(str(source / "train" / "image" / "000003_0.jpg"))
    cv2.imwrite(str(source / "test" / "image" / "000011_0.jpg"), photo, [cv2.IMWRITE_JPEG_QUALITY, 50])
    problems = leakage.check(prepared(viton, source, tmp_path / "data")).problems
    assert any(p.startswith("person 000002_0 is in train and test") for p in problems)
    assert any(p.startswith("garment 000002_1 is in train and test") for p in problems)
    alike = [p for p in problems if "resemble each other" in p]
    assert any("person=000003_0" in p and "person=000011_0" in p for p in alike)
    assert any("(garment_image)" in p and "garment=000002_1" in p for p in alike)


def test_an_item_in_two_parts_is_a_leak_even_where_people_have_no_names(tmp_path):
    source = field_folders.deepfashion(tmp_path / "deepfashion")
    for name in field_folders.DEEPFASHION_RENAMED["train"]:
        field_folders.write(source / "test" / name, field_folders.picture(f"other {name}", (256, 176)))
    lines = (source / "fasion-pairs-train.csv").read_text().splitlines()
    with (source / "fasion-pairs-test.csv").open("a") as file:
        file.write(lines[1] + "\n")
    problems = leakage.check(prepared(deepfashion, source, tmp_path / "data")).problems
    assert "garment WOMENTees_Tanksid00000042 is in train and test" in {p.partition(":")[0] for p in problems}


def test_garments_of_raw_videos_that_look_alike_in_two_parts_are_suspected():
    labels = np.zeros((60, 40), np.uint8)
    labels[10:30, 10:30], labels[30:50, 10:30] = segmentation.ID["upper-clothes"], segmentation.ID["pants"]

    def part(person, upper, lower):
        image = np.full((60, 40, 3), 230, np.uint8)
        image[labels == segmentation.ID["upper-clothes"]], image[labels == segmentation.ID["pants"]] = upper, lower
        encoded = {"image": cv2.imencode(".png", image[..., ::-1])[1].tobytes(),
                   "segmentation": cv2.imencode(".png", labels)[1].tobytes()}  # fmt: skip
        features = {f"{who}_{what}": e for who in ("input", "donor") for what, e in encoded.items()}
        worn = f"upper-{person}-0 lower-{person}-0 upper-known"  # the last one is a catalogue's
        features |= {"person": person.encode(), "input_garments": worn.encode(), "donor_garments": b""}
        made = leakage.Part(garments=dict.fromkeys(worn.split(), f"of {person}"))
        leakage._add_raw_garments(made.raw_garments, features)
        return made

    ada, bo = part("ada", (200, 40, 40), (60, 60, 80)), part("bo", (196, 42, 40), (90, 160, 60))
    (found,) = leakage.suspected(ada, bo, "train and test")
    assert "upper-ada-0, of ada / upper-bo-0, of bo" in found and "train and test" in found


def test_split_hash_knows_no_order():
    assert splits.split_hash(["b", "a"]) == splits.split_hash(["a", "b"]) != splits.split_hash(["a"])
    assert splits.part_of("test_unpaired") == "test" and splits.part_of("train") == "train"


def test_check_command(build_script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    field_folders.viton_hd(tmp_path / "hd")
    prepare.build(viton_hd, tmp_path / "hd", tmp_path / "clean")
    code, said, wrong = build_script("check", "--data_dir=clean")
    assert code == 0 and "0 leaks among 8 pictures; the split's hash is" in said, wrong
    photo = tmp_path / "hd" / "train" / "image" / "00001_00.jpg"
    (tmp_path / "hd" / "test" / "image" / "00006_00.jpg").write_bytes(photo.read_bytes())
    prepare.build(viton_hd, tmp_path / "hd", tmp_path / "leaky", rebuild=True)
    code, said, _ = build_script("check", "--data_dir=leaky")
    assert code == 1 and "1 leaks among" in said and "person=00006_00" in said
    assert build_script("check")[0] == 2


def test_real_photos(test_data):
    """Of the real catalogue photos, the two that are there twice are found, and nothing else."""
    folders = ("person", "viton6_pfafn/test_img", "viton_cpvton9/image")
    paths = [path for folder in folders for path in sorted((test_data / "tryon" / folder).glob("*.jpg"))]
    looks = [near_duplicates.look(cv2.imread(str(path))[..., ::-1]) for path in paths]
    found = {
        tuple(sorted((paths[i].name, paths[j].name))) for i, j, *_ in near_duplicates.resembling(looks, looks) if i < j
    }
    assert found == {("000066_0.jpg", "000066_0.jpg"), ("003491_0.jpg", "019561_0.jpg")}
    garments = sorted((test_data / "tryon" / "garment").glob("*.jpg"))
    looks = [near_duplicates.look(cv2.imread(str(path))[..., ::-1]) for path in garments]
    assert all(i == j for i, j, *_ in near_duplicates.resembling(looks, looks))
