"""The loader: examples that stay of one piece when they are varied, mixtures, and places that all processes share."""

import itertools
import sys
from collections import Counter
from pathlib import Path

import cv2
import field_folders
import jax
import numpy as np
import pytest

from vton_jax.core import geometry, keypoints, segmentation
from vton_jax.core.errors import UserError
from vton_jax.inputs import augment, dressed_people, field_examples, input_pipeline, outfits

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
pytest.importorskip("tensorflow_datasets")

from data import prepare
from data.deepfashion import deepfashion
from data.ubc_fashion import ubc_fashion
from data.viton import viton

SIZE = (64, 48)


def contract_example(size=(8, 6)):
    generator = np.random.default_rng(1)
    example = {name: generator.integers(0, 256, (*size, 3), np.uint8) for name in input_pipeline.IMAGES}
    for person in input_pipeline.PEOPLE:
        visible = generator.random(18) < 0.7
        points = np.stack([generator.integers(0, size[1], 18), generator.integers(0, size[0], 18)], -1)
        example[f"{person}_segmentation"] = generator.integers(0, 18, size).astype(np.uint8)
        example[f"{person}_keypoints"] = (points * visible[:, None]).astype(np.float32)
        example[f"{person}_visible"] = visible
    x = np.arange(size[1])
    target = generator.integers(0, size[1], size)  # whole pixels, so that sampling is exact
    flow = np.stack([target - x, np.zeros(size)], -1).astype(np.float32)
    visible = generator.random(size) < 0.5
    return {**example, "garment_type": np.int32(1), "flow": flow, "flow_visible": visible}


def smooth_example(size=SIZE):
    """Smooth pictures and a smooth flow, which survive sampling; labels in blocks."""
    example = contract_example(size)
    for index, name in enumerate(input_pipeline.IMAGES):
        coarse = np.random.default_rng(index).integers(0, 256, (6, 5, 3)).astype(np.uint8)
        example[name] = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
    for person in input_pipeline.PEOPLE:
        example[f"{person}_segmentation"] = field_folders.ids(person, 18, size)
    y, x = np.mgrid[: size[0], : size[1]]
    example["flow"] = np.stack([4 * np.sin(y / 9), 3 * np.cos(x / 7)], -1).astype(np.float32)
    return example


def test_mirroring_keeps_images_labels_keypoints_and_flow_together():
    example = contract_example()
    mirrored = augment.mirror(example)
    again = augment.mirror(mirrored)
    for name in example:
        np.testing.assert_array_equal(again[name], example[name], err_msg=name)

    def warped(e):
        columns = np.arange(6) + e["flow"][..., 0].astype(int)
        return e["donor_image"][np.arange(8)[:, None], columns]

    np.testing.assert_array_equal(warped(mirrored), warped(example)[:, ::-1])
    left, right = segmentation.ID["left-arm"], segmentation.ID["right-arm"]
    old, new = example["input_segmentation"], mirrored["input_segmentation"]
    np.testing.assert_array_equal(new == left, (old == right)[:, ::-1])


def test_fitted_examples_keep_contract_and_places():
    example = contract_example()
    larger = augment.fit(example, (16, 12))
    assert larger["input_image"].shape == (16, 12, 3) and larger["flow"].shape == (16, 12, 2)
    np.testing.assert_array_equal(larger["input_segmentation"][::2, ::2], example["input_segmentation"])
    np.testing.assert_allclose(larger["flow"].mean(), 2 * example["flow"].mean(), atol=0.1)
    assert not larger["input_keypoints"][~larger["input_visible"]].any()
    for name, value in example.items():
        assert np.asarray(larger[name]).dtype == np.asarray(value).dtype, name


def test_fit_keeps_the_aspect_ratio_and_each_pictures_own_size():
    example = contract_example((8, 6))
    wide = contract_example((10, 30))
    example |= {name: value for name, value in wide.items() if name.startswith("donor_")}
    fitted = augment.fit(example, (16, 12))
    assert {fitted[name].shape for name in input_pipeline.IMAGES} == {(16, 12, 3)}
    # 30 wide to 12: 4 high, in the middle; the border goes on above and below.
    np.testing.assert_array_equal(fitted["donor_segmentation"][0], fitted["donor_segmentation"][6])
    seen = wide["donor_visible"]
    expected = (wide["donor_keypoints"][seen] + 0.5) * 0.4 - 0.5 + (0, 6)
    np.testing.assert_allclose(fitted["donor_keypoints"][seen], expected, atol=1e-5)


def test_a_moved_joint_lands_on_the_moved_pixel():
    size = (96, 72)
    for seed in range(20):
        generator = np.random.default_rng(seed)
        example = smooth_example(size)
        x, y = generator.integers(20, 50), generator.integers(25, 70)
        example["output_image"] = np.zeros((*size, 3), np.uint8)
        cv2.circle(example["output_image"], (int(x), int(y)), 3, (255, 255, 255), -1)
        example["output_segmentation"] = np.where(example["output_image"][..., 0] > 0, 14, 0).astype(np.uint8)
        example["output_keypoints"][0], example["output_visible"][0] = (x, y), True
        moved = augment.move(example, augment.random_matrix(size, generator))
        assert moved["output_visible"][0]
        for shown, within in ((moved["output_image"][..., 0] / 255, 0.1), (moved["output_segmentation"] == 14, 0.5)):
            place = np.array([(shown * axis).sum() / shown.sum() for axis in np.mgrid[: size[0], : size[1]]])[::-1]
            np.testing.assert_allclose(moved["output_keypoints"][0], place, atol=within)


def test_whole_pixels_move_exactly_and_what_leaves_is_not_visible():
    example = contract_example((8, 6))
    moved = augment.move(example, np.array([[1, 0, 2], [0, 1, -1]], float))
    np.testing.assert_array_equal(moved["input_segmentation"][:7, 2:], example["input_segmentation"][1:, :4])
    np.testing.assert_array_equal(moved["dress_image"][:7, 2:], example["dress_image"][1:, :4])
    np.testing.assert_array_equal(moved["input_segmentation"][:7, 0], example["input_segmentation"][1:, 0])  # goes on
    points, visible = example["input_keypoints"], example["input_visible"]
    stays = visible & (points[:, 0] + 2 <= 5) & (points[:, 1] - 1 >= 0)
    np.testing.assert_array_equal(moved["input_visible"], stays)
    np.testing.assert_array_equal(moved["input_keypoints"][stays], points[stays] + (2, -1))
    assert not moved["input_keypoints"][~stays].any() and stays.sum() < visible.sum()
    np.testing.assert_array_equal(moved["flow"][:7, 2:], example["flow"][1:, :4])  # a shift of both changes no flow
    leads_out = np.arange(2, 6) + moved["flow"][:7, 2:, 0] > 5
    np.testing.assert_array_equal(moved["flow_visible"][:7, 2:], example["flow_visible"][1:, :4] & ~leads_out)
    assert not moved["flow_visible"][7].any() and leads_out.any()


def test_a_moved_flow_leads_to_the_moved_dress():
    """Warping the moved dress by the moved flow shows the moved warp of the dress."""
    example = smooth_example()
    example["flow_visible"] = np.ones(SIZE, bool)
    for seed in range(5):
        moved = augment.move(example, augment.random_matrix(SIZE, np.random.default_rng(seed)))
        warp = lambda e: np.asarray(geometry.warp(e["dress_image"].astype(np.float32), e["flow"]))  # noqa: E731
        expected = augment.move({**example, "dress_image": warp(example)}, _matrix(seed))["dress_image"]
        inner = moved["flow_visible"][8:-8, 8:-8]
        error = np.abs(warp(moved) - expected)[8:-8, 8:-8][inner]
        unmoved = np.abs(warp({**moved, "flow": example["flow"]}) - expected)[8:-8, 8:-8][inner]
        assert inner.mean() > 0.9 and error.mean() < 2 and error.mean() < unmoved.mean() / 2


def _matrix(seed):
    return augment.random_matrix(SIZE, np.random.default_rng(seed))


def test_recolouring_keeps_white_and_is_one_for_all_pictures():
    example = smooth_example()
    example["donor_image"] = example["input_image"]
    example["dress_image"] = np.full((*SIZE, 3), 255, np.uint8)
    changed = augment.recolour(example, np.array([0.8, 1.0, 1.3]))
    assert (changed["dress_image"] == 255).all()
    np.testing.assert_array_equal(changed["donor_image"], changed["input_image"])
    red, green, blue = (changed["input_image"][..., c].astype(int) - example["input_image"][..., c] for c in range(3))
    assert red.min() >= 0 and red.max() > 10 and not green.any() and blue.max() <= 0 and blue.min() < -10
    assert changed["input_segmentation"] is example["input_segmentation"]


def test_at_random_varies_and_repeats():
    example = smooth_example()
    one, again = (augment.at_random(example, np.random.default_rng(3)) for _ in range(2))
    other = augment.at_random(example, np.random.default_rng(4))
    for name, value in one.items():
        np.testing.assert_array_equal(value, again[name])
        assert np.asarray(value).dtype == np.asarray(example[name]).dtype, name
    assert (one["input_image"] != other["input_image"]).mean() > 0.5
    sides = Counter()
    for seed in range(60):
        moved = augment.at_random(example, np.random.default_rng(seed))
        wrist = keypoints.ID["left-wrist"]
        mirrored = np.linalg.norm(
            moved["input_keypoints"][wrist] - augment.mirror(example)["input_keypoints"][wrist]
        ) < np.linalg.norm(moved["input_keypoints"][wrist] - example["input_keypoints"][wrist])
        sides[bool(mirrored)] += 1
    assert min(sides.values()) > 15


# --- datasets --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Prepared: seven pairs of VITON and two of DeepFashion."""
    folder = tmp_path_factory.mktemp("field")
    source = field_folders.viton(folder / "viton", train=[f"{n:06d}" for n in range(1, 8)])
    prepare.build(viton, source, folder / "a")
    prepare.build(deepfashion, field_folders.deepfashion(folder / "deepfashion"), folder / "b")
    return folder


def labelled(examples):
    """A name for each example, by the mean of its output picture."""
    return [int(example["output_image"].astype(np.int64).sum()) for example in examples]


def test_the_fields_examples_in_the_contracts_names(folders):
    (example, *_) = (e for e in _first_epoch(folders / "a", 7) if e["donor_flat"])
    assert set(input_pipeline.REQUIRED) <= set(example)
    np.testing.assert_array_equal(example["input_image"], example["output_image"])
    labels = example["donor_segmentation"]
    assert set(np.unique(labels)) == {0, segmentation.ID["upper-clothes"]} and not example["donor_visible"].any()
    assert (example["dress_image"][labels == 0] == 255).all()
    np.testing.assert_array_equal(example["dress_image"][labels > 0], example["donor_image"][labels > 0])
    pair = _first_epoch(folders / "b", 2)
    assert not any(e["donor_flat"] for e in pair)
    np.testing.assert_array_equal(pair[0]["input_image"], pair[1]["output_image"])
    np.testing.assert_array_equal(pair[0]["input_image"], pair[0]["donor_image"])
    assert (pair[0]["output_segmentation"] == segmentation.UNKNOWN).all()


def test_people_of_the_fields_examples_for_finet(folders):
    """The same flag as for drawn outfits; each person fills the frame, as FiNet knows them."""
    batch = next(dressed_people.open_batches(str(folders / "a"), 7, 0, SIZE, "train"))
    assert set(batch) == set(dressed_people.NAMES) and batch["image"].shape == (7, *SIZE, 3)
    for labels in batch["segmentation"]:
        rows, columns = (np.flatnonzero((labels > 0).any(axis)) for axis in (1, 0))
        filled = max(len(rows) / SIZE[0], len(columns) / SIZE[1])
        assert abs(filled - 1 / (1 + 2 * outfits.MARGIN)) < 0.06
    unlabelled = next(dressed_people.open_batches(str(folders / "b"), 2, 0, SIZE, "train"))
    assert not unlabelled["segmentation"].any() and unlabelled["image"].any()


def _first_epoch(folder, count):
    examples = input_pipeline.file_examples(str(folder), "train", 0, None, None)
    return [examples[place] for place in range(count)]


def test_a_garment_by_its_type():
    white = np.full((4, 4, 3), 255, np.uint8)
    features = {"source": b"", "garment": b"x", "garment_image": white * 0, "paired": True}
    features |= {"garment_mask": np.ones((4, 4, 1), np.uint8), "image": white, "segmentation": white[..., :1] * 0}
    features |= {"keypoints": np.zeros((18, 2), np.float32), "visible": np.zeros(18, bool)}
    for index, name in enumerate(("upper-clothes", "pants", "dress")):
        example = field_examples.to_contract(features | {"garment_type": np.int64(index)})
        assert (example["donor_segmentation"] == segmentation.ID[name]).all()
        kind = segmentation.GARMENT_TYPES[index]
        assert segmentation.ID[name] in segmentation.GARMENT_LABELS[kind]


def test_a_dataset_with_other_garment_types_is_refused(folders, monkeypatch):
    monkeypatch.setattr(segmentation, "GARMENT_TYPES", ("upper", "lower", "dress"))
    with pytest.raises(UserError, match=r"types were upper, lower, dress, outfit.*prepare it again"):
        input_pipeline.file_examples(str(folders / "a"), "train", 5, SIZE, None)


def test_every_example_once_an_epoch_in_a_new_order(folders):
    examples = input_pipeline.file_examples(str(folders / "a"), "train", 5, SIZE, None)
    epochs = [labelled(examples[place] for place in range(7 * e, 7 * e + 7)) for e in range(4)]
    assert all(sorted(epoch) == sorted(epochs[0]) and len(set(epoch)) == 7 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_mixtures_by_weight(folders):
    mixture = f"{folders / 'a'}:3,{folders / 'b'}:1"
    examples = input_pipeline.file_examples(mixture, "train", 0, SIZE, None)
    of_a = set(labelled(input_pipeline.file_examples(str(folders / "a"), "train", 0, SIZE, None)[i] for i in range(7)))
    names = labelled(examples[place] for place in range(56))
    from_a = [name in of_a for name in names]
    assert sum(from_a) == 42 and all(2 <= sum(from_a[i : i + 4]) <= 4 for i in range(0, 56, 4))
    counts = Counter(names)
    assert {counts[name] for name in of_a} == {6} and {c for n, c in counts.items() if n not in of_a} == {7}


def test_mixture_flag():
    assert input_pipeline.parse_mixture("runs/a") == [("runs/a", 1.0)]
    assert input_pipeline.parse_mixture("a:0.7,b:.3") == [("a", 0.7), ("b", 0.3)]
    assert input_pipeline.parse_mixture("gs://bucket/a") == [("gs://bucket/a", 1.0)]
    assert input_pipeline.parse_mixture("gs://bucket/a:2") == [("gs://bucket/a", 2.0)]
    for wrong in ("a,b", "a:1,b", "a:0,b:1", "a:-1,b:1", "a:nan,b:1", ":1,b:1"):
        with pytest.raises(UserError, match="FOLDER:WEIGHT"):
            input_pipeline.parse_mixture(wrong)


def batches_of(monkeypatch, dataset, processes: int, index: int):
    monkeypatch.setattr(jax, "process_count", lambda: processes)
    monkeypatch.setattr(jax, "process_index", lambda: index)
    return input_pipeline.tfds_batches(dataset, "train", 4, 7, SIZE, num_threads=2)


def test_a_mixture_goes_on_with_another_number_of_processes(folders, monkeypatch):
    """Stopped after three batches with one process, the rest is drawn by two: the same rows, augmentation included."""
    mixture = f"{folders / 'a'}:0.7,{folders / 'b'}:0.3"
    whole = batches_of(monkeypatch, mixture, 1, 0)
    for _ in range(3):
        next(whole)
    state = whole.get_state()
    expected = [next(whole) for _ in range(3)]
    rows = []
    for index in range(2):
        part = batches_of(monkeypatch, mixture, 2, index)
        part.set_state(state)
        rows.append([next(part) for _ in range(3)])
    for batch, first, second in zip(expected, *rows, strict=True):
        assert len(first["input_image"]) == 2
        for name, value in batch.items():
            np.testing.assert_array_equal(value, np.concatenate([first[name], second[name]]), err_msg=name)
    assert any((a["output_image"] != b["output_image"]).any() for a, b in itertools.pairwise(expected))


def test_augmentation_depends_on_the_place_alone(folders):
    examples = input_pipeline.file_examples(str(folders / "a"), "train", 5, SIZE)
    forward = [examples[place]["output_image"] for place in range(14)]
    for place in (13, 2, 7):
        np.testing.assert_array_equal(examples[place]["output_image"], forward[place])
    other = input_pipeline.file_examples(str(folders / "a"), "train", 6, SIZE)
    assert any((other[place]["output_image"] != forward[place]).any() for place in range(7))


def test_only_the_train_split_is_augmented(folders, monkeypatch):
    batches = input_pipeline.open_batches(str(folders / "a"), 2, 0, SIZE, "test")
    shown = {int(image.astype(np.int64).sum()) for _ in range(2) for image in next(batches)["output_image"]}
    photos = [cv2.imread(str(p))[..., ::-1] for p in (folders / "viton" / "test" / "image").iterdir()]
    assert shown == {int(photo.astype(np.int64).sum()) for photo in photos}


def test_what_cannot_be_loaded_is_said(folders, tmp_path, capsys):
    with pytest.raises(UserError, match="no dataset folder"):
        input_pipeline.tfds_batches(tmp_path / "none", "train", 2, 0)
    with pytest.raises(UserError, match="found: none"):
        input_pipeline.tfds_batches(tmp_path, "train", 2, 0)
    with pytest.raises(UserError, match="lacks input_image"):
        input_pipeline.from_features({})
    with pytest.raises(UserError, match="no split 'validation'"):
        input_pipeline.tfds_batches(f"{folders / 'a'}:1,{folders / 'b'}:1", "validation", 2, 0)
    with pytest.raises(UserError, match="would enlarge"):
        input_pipeline.tfds_batches(folders / "a", "train", 2, 0, (128, 96))
    input_pipeline.tfds_batches(folders / "b", "train", 2, 0, SIZE)
    assert "has no labels" in capsys.readouterr().err
    wrong = {name: np.zeros((4, 4, 3), np.uint8) for name in input_pipeline.REQUIRED}
    wrong |= {f"{person}_segmentation": np.full((4, 4, 1), 30, np.uint8) for person in input_pipeline.PEOPLE}
    with pytest.raises(UserError, match="has the label 30"):
        input_pipeline.from_features(wrong)


def test_a_real_clip_becomes_batches(tmp_path, test_data):
    settings = ubc_fashion.Settings(frames_per_video=3)
    prepare.build(ubc_fashion, test_data / "video" / "ubc_fashion", tmp_path, settings=settings)
    batch = next(input_pipeline.tfds_batches(tmp_path, "test", 4, 0, (128, 96), augment=None))
    assert batch["output_image"].shape == (4, 128, 96, 3) and (batch["output_segmentation"] == 255).all()
    # The two clips are of other shapes than the batch; the feet are where the picture shows something.
    for image, points, seen in zip(
        batch["output_image"], batch["output_keypoints"], batch["output_visible"], strict=True
    ):
        x, y = points[seen].round().astype(int).T
        assert (image[y, x].min(-1) < 245).mean() > 0.8
