"""Cached examples from a few cases: what the files should hold, and that mirror images and target layouts differ."""

import numpy as np
import pytest

from vton_jax.core import segmentation
from vton_jax.inputs import cached_examples
from vton_jax.systems.lab126 import cache_examples
from vton_jax.systems.lab126.target_layouts import TargetLayouts
from vton_jax.systems.reader import Reader

COUNT = 3


@pytest.fixture(scope="module")
def parts(drawn_cases):
    reader = Reader()
    drawn = {name: array[:COUNT].copy() for name, array in drawn_cases.items()}
    drawn["donor_image"][0] = 255  # nobody finds a garment there
    return reader, TargetLayouts(reader), drawn


def check(arrays, copies, shapes):
    assert arrays.keys() - {"guides"} == shapes.keys() - {"guide"}
    for name, array in arrays.items():
        wanted = shapes["guide" if name == "guides" else name]
        lead = (2,) if name in cached_examples.BOTH else ()
        assert array.shape == (COUNT - 1, copies, *lead, *wanted.shape[1:]) and array.dtype == wanted.dtype, name


def test_layouts(parts):
    reader, layouts, drawn = parts
    arrays = cache_examples.layouts(reader, layouts, drawn)
    check(arrays, 1, cached_examples.layout_batch(1, reader.size))
    np.testing.assert_array_equal(arrays["output_image"][:, 0], drawn["output_image"][1:])
    np.testing.assert_array_equal(arrays["garment_type"][:, 0], drawn["garment_type"][1:])
    of_output, of_pose = np.moveaxis(arrays["guides"][:, 0], 1, 0)
    truth = drawn["output_segmentation"][1:]
    assert (of_output == truth).mean() > 0.9 < (of_pose == truth).mean() and (of_output != of_pose).any((1, 2)).all()
    white = arrays["dress_segmentation"][:, 0] == 0
    assert (arrays["dress_image"][:, 0][white] == 255).all() and 0.5 < white.mean() < 1
    assert segmentation.region(arrays["dress_segmentation"][~white[:, None]], segmentation.GARMENTS).all()


def test_latents(parts):
    reader, layouts, drawn = parts
    arrays = cache_examples.latents(reader, layouts, drawn)
    check(arrays, 2, cached_examples.latent_batch(1, reader.size, reader.multi_path.latent_size))
    truth = arrays["output_segmentation"]
    np.testing.assert_array_equal(truth[:, 0], drawn["output_segmentation"][1:])
    np.testing.assert_array_equal(truth[:, 1], segmentation.mirror(truth[:, 0]))
    assert np.abs(arrays["z_user"][:, 0] - arrays["z_user"][:, 1]).max() > 0.1
