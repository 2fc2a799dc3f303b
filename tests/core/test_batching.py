"""Equal parts: every frame comes back once and in order, whatever its number; pictures become floats."""

import jax.numpy as jnp
import numpy as np
import pytest

from vton_jax.core import batching, framing


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_frames_come_back_in_order_from_parts_of_one_shape(count, full):
    frames = {"a": np.arange(count * 2).reshape(count, 2), "b": np.arange(count)}
    shapes = set()

    def double(part):
        shapes.add(part["a"].shape)
        return 2 * part["a"], jnp.asarray(part["b"]) + 1

    doubled, more = batching.in_batches(double, frames, 4, full=full)
    np.testing.assert_array_equal(doubled, 2 * frames["a"])
    np.testing.assert_array_equal(more, frames["b"] + 1)
    assert isinstance(more, np.ndarray)
    assert shapes == {(4 if full else min(count, 4), 2)}


def test_the_last_part_repeats_the_last_frame():
    assert [part.tolist() for part in batching.parts(5, 3)] == [[0, 1, 2], [3, 4, 4]]


def test_pictures_become_floats():
    picture = np.array([[0, 51, 255]], np.uint8)
    for found in (framing.to_float(picture), framing.to_float(jnp.asarray(picture))):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, [[0, 0.2, 1]], rtol=1e-6)
