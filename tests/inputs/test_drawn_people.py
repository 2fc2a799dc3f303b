"""Cached people: the same samples as the catalogue's own, mirrored as NumPy does, and pictures for ReaderCNN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vton_jax.catalogue import cases, examples, exchanges
from vton_jax.core import keypoints, segmentation
from vton_jax.core.errors import UserError
from vton_jax.inputs import augment, cached_examples, drawn_people, input_pipeline, reading_views
from vton_jax.inputs.catalogue_examples import FLOW_UNIT
from vton_jax.models.reader_cnn import KINDS, SLEEVES

SIZE = (64, 48)
FILES = (0, 47, 19)  # of two examples each; the second shows an outfit, the third is held out


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawn_people, "_CASES", 2)
        patch.setattr(drawn_people, "SIZE", SIZE)
        for number in FILES:
            drawn_people.write(folder, range(number, number + 1))
    return folder


@pytest.fixture(scope="module")
def arrays(folder):
    return drawn_people.read(folder, "train")


def one(arrays: dict, row: int) -> dict:
    """An example as `examples.draw` has it, its flows rounded."""
    found = {name: array[row] for name, array in arrays.items() if not name.endswith("_sleeve")}
    return {name: np.float32(array) / FLOW_UNIT if name.endswith("_flow") else array for name, array in found.items()}


def test_a_file_holds_what_is_drawn(arrays):
    drawn, kept = examples.draw(1, "train", SIZE, closest=cases.WHOLE), one(arrays, 1)
    assert drawn.keys() == kept.keys()
    for name, array in drawn.items():
        np.testing.assert_allclose(kept[name], array, atol=0.5 / FLOW_UNIT + 1e-6, err_msg=name)
    assert arrays["input_sleeve"][1] == np.float32(exchanges.about(1)["input_sleeve"])


def test_grounds_that_cannot_be_are_a_sentence(tmp_path):
    with pytest.raises(UserError, match="--grounds: "):
        drawn_people.write(tmp_path / "people", range(1), "train", str(tmp_path))


def test_people_are_whole_and_no_larger_than_asked(arrays):
    for shot in ("input", "output", "worn"):
        rows = (arrays[f"{shot}_segmentation"] > 0).any(2).sum(1)
        assert (rows < 0.95 * SIZE[0]).all() and (rows > 0.2 * SIZE[0]).all()


def test_splits_are_of_files(folder, arrays):
    assert len(arrays["garment_type"]) == 4 and len(drawn_people.read(folder, "validation")["garment_type"]) == 2
    assert drawn_people.is_folder(folder) and not drawn_people.is_folder(folder / "none")
    with pytest.raises(UserError, match="holds no cached examples for the split 'validation'"):
        (folder / "less").mkdir()
        first = cached_examples.files_of(folder)[0]
        (folder / "less" / first.name).write_bytes(first.read_bytes())
        drawn_people.read(folder / "less", "validation")


@pytest.fixture(scope="module")
def sampled(arrays):
    """{flat: samples [4]} and their mirror images."""
    kept = {name: jnp.asarray(array) for name, array in arrays.items()}
    sample = jax.jit(jax.vmap(drawn_people._sample, (0, None)))
    found = {flat: sample(kept, flat) for flat in (False, True)}
    return jax.device_get((found, jax.jit(jax.vmap(drawn_people._mirrored))(found[True])))


def test_samples_are_the_catalogues_own(arrays, sampled):
    for flat, found in sampled[0].items():
        for row in range(4):
            example = one(arrays, row)
            true = examples.sample(example, flat=flat and examples.lies_flat(example))
            assert set(found) == set(true) == {*input_pipeline.REQUIRED, *input_pipeline.OPTIONAL}
            for name, array in true.items():
                np.testing.assert_allclose(found[name][row], array, atol=1e-5, err_msg=name)
    kinds = {segmentation.GARMENT_TYPES[kind] for kind in arrays["garment_type"]}
    assert "outfit" in kinds and len(kinds) == 3


def test_mirrored_samples_are_those_of_numpy(sampled):
    found, mirrored = sampled
    for row in range(4):
        true = augment.mirror({name: array[row] for name, array in found[True].items()})
        for name, array in true.items():
            np.testing.assert_allclose(mirrored[name][row], array, atol=1e-4, err_msg=name)


def test_batches_are_opened_by_the_folder(folder):
    batches = input_pipeline.open_batches(str(folder), 3, 0, SIZE)
    assert isinstance(batches, drawn_people._Samples)
    shapes = batches.shapes()
    assert shapes["input_image"].shape == (3, *SIZE, 3) and shapes["flow"].shape == (3, *SIZE, 2)
    with pytest.raises(UserError, match="is of 64x48, not of --size"):
        input_pipeline.open_batches(str(folder), 3, 0, (128, 96))


# --- for ReaderCNN ---------------------------------------------------------------------------------------------------


def test_pictures_say_what_they_show(arrays):
    found = drawn_people.as_pictures(arrays)
    people, flat = found["kind"] == KINDS.index("person"), found["kind"] == KINDS.index("garment")
    assert people.sum() == 12 and flat.sum() == 3  # an outfit does not lie flat
    assert (found["garment_type"][people] == -1).all() and (found["garment_type"][flat] >= 0).all()
    np.testing.assert_array_equal(found["known"][people], True)
    np.testing.assert_array_equal(found["known"][flat], found["seen"][flat])
    np.testing.assert_allclose(np.linalg.norm(found["facing"], axis=1), people)
    np.testing.assert_allclose(
        found["facing"][:4], np.stack([np.sin(arrays["input_yaw"]), np.cos(arrays["input_yaw"])], -1)
    )
    np.testing.assert_array_equal(found["image"][:4], arrays["input_image"])
    np.testing.assert_array_equal(found["shown"], np.tile(SIZE, (15, 1)))


def test_who_is_turned_to_the_right_faces_the_right_and_shows_that_side(arrays):
    """To the picture's right; it is their own right side that is nearer then."""
    left = examples.draw(8, size=SIZE, closest=cases.WHOLE)
    looked_at = set()
    for yaw, points, seen in (
        (left["output_yaw"], left["output_places"], left["output_visible"]),
        *zip(arrays["input_yaw"], arrays["input_places"], arrays["input_visible"], strict=True),
    ):
        if abs(np.sin(yaw)) < 0.8:
            continue
        side, other = ("right", "left") if np.sin(yaw) > 0 else ("left", "right")
        parts = ("elbow", "wrist", "ear", "hip")
        shown = {of: sum(seen[keypoints.ID[f"{of}-{part}"]] for part in parts) for of in (side, other)}
        ears = [points[keypoints.ID[f"{ear}-ear"], 0] for ear in ("left", "right")]
        assert shown[side] > shown[other]
        assert (points[keypoints.ID["nose"], 0] > np.mean(ears)) == (side == "right")
        looked_at.add(side)
    assert looked_at == {"left", "right"}


@pytest.mark.parametrize(
    ("sleeve", "name"), [(0.0, "none"), (0.15, "none"), (0.5, "short"), (1.2, "three-quarter"), (1.9, "long")]
)
def test_classes_of_sleeves(sleeve, name):
    assert SLEEVES[int(drawn_people.sleeve_class(np.float32(sleeve)))] == name
    assert drawn_people.sleeve_class(np.float32([np.nan, sleeve])).tolist() == [-1, SLEEVES.index(name)]


def test_views_of_a_folder(folder):
    batch = reading_views.open_batches(f"{folder}:1,{folder}:1", 4, 0, (64, 64), "train").shapes()
    assert batch["image"].shape == (4, 64, 64, 3)


def test_other_folders_are_none_of_people(tmp_path):
    np.savez(tmp_path / "0.npz", flow=np.zeros(2))
    assert not drawn_people.is_folder(tmp_path) and cached_examples.files_of(tmp_path)
    with pytest.raises(UserError, match="neither a file"):
        reading_views.read_part(tmp_path, "train")
