"""Garments cut out of photos: what is shown is what the labels say, and what has no landmarks says so."""

import jax.numpy as jnp
import numpy as np

from vton_jax.core import segmentation
from vton_jax.inputs import garment_batches, parsing_batches
from vton_jax.models import garment_cnn

SIZE = (64, 48)
UPPER = segmentation.ID["upper-clothes"]


def photos():
    """Three photos of a red garment and a bag beside it, on green."""
    photo, labels = np.full((120, 90, 3), (0, 200, 0), np.uint8), np.zeros((120, 90), np.uint8)
    photo[30:80, 20:60], labels[30:80, 20:60] = (200, 0, 0), UPPER
    photo[60:80, 65:80], labels[60:80, 65:80] = (0, 0, 200), segmentation.ID["bag"]
    return [photo] * 3, [labels] * 3


def test_a_garment_is_cut_out_alone_and_labelled_where_it_is():
    (photo, *_), (labels, *_) = photos()
    for seed in range(10):
        image, parsed = garment_batches.cut_out(photo, labels, SIZE, np.random.default_rng(seed))
        assert set(np.unique(parsed)) == {0, UPPER}
        assert parsed.any(0).sum() > 0.55 * SIZE[1] or parsed.any(1).sum() > 0.55 * SIZE[0]
        red = (image[..., 0] > 150) & (image[..., 1:] < 100).all(-1)
        assert (red == (parsed > 0)).mean() > 0.95
        assert image[parsed == 0].min() > 90  # neither grass nor bag
    assert garment_batches.cut_out(photo, np.zeros_like(labels), SIZE, np.random.default_rng(0)) is None


def test_photos_take_every_second_place_and_have_no_landmarks(monkeypatch):
    monkeypatch.setattr(parsing_batches, "read_photos", lambda dataset, split: photos())
    batches = garment_batches.open_batches("anywhere", 4, 0, SIZE)
    batch = next(batches)
    assert batch["known"].tolist() == [False, True, False, True]
    assert not batch["present"][[0, 2]].any()
    again = garment_batches.open_batches("anywhere", 4, 0, SIZE).batch_at(0)
    for name in batch:
        np.testing.assert_array_equal(batch[name], again[name])
    assert (batches.batch_at(1)["image"] != batch["image"]).any()


def test_unknown_landmarks_count_for_nothing():
    labels = jnp.zeros((2, 16, 16), jnp.int32)
    points, present = jnp.full((2, 12, 2), 8.0), jnp.ones((2, 12), bool)

    def loss(maps, known):
        outputs = {"landmarks": maps, "segmentation": jnp.zeros((2, 8, 8, 18))}
        return float(garment_cnn.loss(outputs, labels, points, present, jnp.asarray(known))["landmarks"])

    maps = jnp.zeros((2, 4, 4, 12))
    spoiled = maps.at[1].set(5.0)
    assert loss(maps, [True, False]) == loss(spoiled, [True, False]) > 0
    assert loss(spoiled, [True, True]) > loss(maps, [True, True])
