"""Outfits of one style, and batches of dressed people from every kind of dataset."""

import numpy as np
import pytest
from finet_people import SIZE, people

from vton_jax.catalogue import garments, styles
from vton_jax.core.errors import UserError
from vton_jax.core.segmentation import ID
from vton_jax.inputs import dressed_people, outfits


def test_a_picture_is_a_function_of_its_number():
    one, again, other = outfits.draw(3, "test"), outfits.draw(3, "test"), outfits.draw(4, "test")
    assert all((one[name] == again[name]).all() for name in one)
    assert (one["image"] != other["image"]).any() and one["image"].shape == (*outfits.SIZE, 3)
    rows = np.nonzero((one["segmentation"] > 0).any(1))[0]
    assert rows[0] > 2 and rows[-1] < outfits.SIZE[0] - 3 and len(rows) > 0.8 * outfits.SIZE[0]
    worn = set(np.unique(one["segmentation"]))
    assert ID["upper-clothes"] in worn and worn & {ID["pants"], ID["skirt"]} and ID["dress"] not in worn
    on_person = one["keypoints"][one["visible"]].round().astype(int)
    assert (one["segmentation"][on_person[:, 1], on_person[:, 0]] > 0).mean() > 0.9


@pytest.mark.parametrize("style", styles.STYLES)
def test_without_freedom_every_choice_follows_its_style(style):
    generator, rules = np.random.default_rng(0), styles.STYLES[style]
    for _ in range(40):
        top, lower = garments.sample_cuts(generator, 0.0, style, 0.0)
        assert min(abs(top.sleeve - allowed) for allowed in rules.sleeves) <= 0.04
        allowed = rules.trousers if lower.kind == "trousers" else rules.skirts
        assert not allowed or min(abs(lower.leg - length) for length in allowed) <= 0.04


def test_framed_people_fill_the_frame():
    image = np.zeros((90, 200, 3), np.uint8)
    labels = np.zeros((90, 200), np.uint8)
    labels[10:80, 120:150], image[10:80, 120:150] = 4, 255
    points = np.full((18, 2), (135.0, 45.0), np.float32)
    found = outfits.framed(image, labels, points, np.arange(18) < 3, SIZE)
    rows, columns = (np.nonzero((found["segmentation"] > 0).any(axis))[0] for axis in (1, 0))
    assert abs(len(rows) - SIZE[0] / (1 + 2 * outfits.MARGIN)) < 2
    assert abs(rows.mean() - 31.5) < 1 and abs(columns.mean() - 23.5) < 1
    np.testing.assert_allclose(found["keypoints"][0], (23.5, 31.5), atol=1)
    assert not found["keypoints"][3:].any()
    assert outfits.framed(image, labels * 0, points, np.ones(18, bool), SIZE) is None


def write(folder, arrays, number):
    folder.mkdir(exist_ok=True)
    np.savez(folder / f"{number:04d}.npz", **arrays)


def test_batches_are_a_mixture_of_all_kinds(tmp_path):
    arrays = people(4)
    write(tmp_path / "outfits", arrays, 0)
    write(tmp_path / "outfits", people(1), 19)
    whole = {f"{shot}_{name}": arrays[name] for shot in ("input", "worn", "output") for name in dressed_people.NAMES}
    whole["output_image"] = np.zeros_like(whole["output_image"])  # of two styles, which teach nothing
    write(tmp_path / "people", whole, 0)
    assert len(dressed_people.read(tmp_path / "outfits", SIZE, "train")["image"]) == 4
    assert len(dressed_people.read(tmp_path / "outfits", SIZE, "validation")["image"]) == 1
    found = dressed_people.read(tmp_path / "people", SIZE, "train")
    assert len(found["image"]) == 8 and found["image"].any((1, 2, 3)).all()
    mixture = f"{tmp_path / 'outfits'}:0.5,{tmp_path / 'people'}:0.5"
    batches = dressed_people.open_batches(mixture, 6, 0, SIZE, "train")
    one = batches.batch_at(3)
    assert one["image"].shape == (6, *SIZE, 3) and set(one) == set(dressed_people.NAMES)
    assert all((one[name] == batches.batch_at(3)[name]).all() for name in one)
    with pytest.raises(UserError, match="make them with"):
        dressed_people.read(tmp_path / "nowhere", SIZE, "train")
    with pytest.raises(UserError, match="not of --size"):
        dressed_people.read(tmp_path / "outfits", (128, 96), "train")
