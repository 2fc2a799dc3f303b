"""People and how light falls on them: a function of their number, mirrored light and all, and refusals."""

import cv2
import numpy as np
import pytest

from vton_jax.core.errors import UserError
from vton_jax.inputs import lit_people
from vton_jax.models.shading_cnn import NUM_LIGHTS


@pytest.fixture(scope="module")
def looks():
    return lit_people.draw(5, "test")


def test_looks_are_a_function_of_their_number(looks):
    again = lit_people.draw(5, "test")
    assert all((one[name] == two[name]).all() for one, two in zip(looks, again, strict=True) for name in one)
    first, second = looks[:2]
    assert (first["segmentation"] != second["segmentation"]).any()
    height, width = lit_people.SIZE
    assert first["shading"].shape == (height // 2, width // 2, NUM_LIGHTS) and first["shading"].dtype == np.uint8
    shown = first["segmentation"].reshape(height // 2, 2, width // 2, 2) > 0
    lit = first["shading"][..., 0] > 0  # something comes from everywhere
    assert lit[shown.all((1, 3))].all()
    beside = cv2.dilate(np.uint8(shown.any((1, 3))), np.ones((3, 3))) > 0  # outlines are a pixel wide
    assert not lit[~beside].any()


def test_mirrored_light_comes_from_the_other_side(looks):
    batch = {name: np.stack([look[name] for look in looks]) for name in looks[0]}
    other = lit_people.mirror(batch)
    np.testing.assert_array_equal(other["shading"][:, :, ::-1, 1], batch["shading"][..., 2])
    np.testing.assert_array_equal(other["shading"][:, :, ::-1, 3:], batch["shading"][..., 3:])
    again = lit_people.mirror(other)
    for name in batch:
        np.testing.assert_allclose(again[name], batch[name], atol=1e-4)


def test_batches_and_refusals(looks, tmp_path):
    arrays = {name: np.stack([look[name] for look in looks]) for name in looks[0]}
    for number in (3, 19):
        np.savez(tmp_path / f"{number:04d}.npz", **arrays)
    batch = lit_people.open_batches(tmp_path, 3, 0, lit_people.SIZE, "train").batch_at(2)
    assert {name: array.shape[1:] for name, array in batch.items()} == {n: a.shape[1:] for n, a in arrays.items()}
    assert len(batch["shading"]) == 3
    lit_people.open_batches(tmp_path, 3, 0, lit_people.SIZE, "validation")
    with pytest.raises(UserError, match="make them with"):
        lit_people.open_batches(tmp_path / "nowhere", 3, 0, lit_people.SIZE, "train")
    with pytest.raises(UserError, match="not of --size"):
        lit_people.open_batches(tmp_path, 3, 0, (128, 96), "train")
    (tmp_path / "0019.npz").unlink()
    with pytest.raises(UserError, match="holds no cached examples"):
        lit_people.open_batches(tmp_path, 3, 0, lit_people.SIZE, "validation")
    np.savez(tmp_path / "0003.npz", image=arrays["segmentation"])
    with pytest.raises(UserError, match="lacks"):
        lit_people.open_batches(tmp_path, 3, 0, lit_people.SIZE, "train")
