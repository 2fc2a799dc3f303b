"""Equal parts: every frame comes back once and in order, whatever its number; pictures become floats."""

import threading
import time

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
    assert shapes == {(1 if count == 1 and not full else 4, 2)}


def test_who_waits_for_a_single_frame_gets_it_alone():
    shapes = []

    def look(part):
        shapes.append(len(part))
        return part

    with batching.awaited():
        for count in (1, 5):
            np.testing.assert_array_equal(batching.in_batches(look, np.arange(count), 4, full=True), np.arange(count))
    batching.in_batches(look, np.arange(1), 4, full=True)
    assert shapes == [1, 4, 4, 4]


def test_the_last_part_repeats_the_last_frame():
    assert [part.tolist() for part in batching.parts(5, 3)] == [[0, 1, 2], [3, 4, 4]]


def test_trees_are_stacked_and_taken_apart():
    trees = [{"a": np.full(3, i), "missing": None} for i in range(2)]
    together = batching.stacked(*trees)
    assert together["a"].shape == (2, 3) and together["missing"] is None
    for tree, again in zip(trees, batching.unstacked(together, 2), strict=True):
        np.testing.assert_array_equal(tree["a"], again["a"])
    assert batching.spread(trees[1], 5)["a"].tolist() == [[1, 1, 1]] * 5


def test_pictures_become_floats():
    picture = np.array([[0, 51, 255]], np.uint8)
    for found in (framing.to_float(picture), framing.to_float(jnp.asarray(picture))):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, [[0, 0.2, 1]], rtol=1e-6)


def test_what_is_made_ahead_comes_in_order_and_no_further_than_asked():
    made = []

    def items():
        for number in range(9):
            made.append(number)
            yield number

    found = batching.ahead(items(), 2)
    for number in range(9):
        assert next(found) == number
        time.sleep(0.02)
        assert len(made) <= number + 1 + 2 + 1  # two that wait, and one in the making
    assert next(found, None) is None


def test_what_fails_ahead_fails_where_it_is_taken():
    def items():
        yield 1
        raise KeyError("torn")

    found = batching.ahead(items(), 5)
    assert next(found) == 1
    with pytest.raises(KeyError, match="torn"):
        next(found)


def test_who_leaves_off_ends_the_thread():
    before = threading.active_count()
    found = batching.ahead(iter(range(1000)), 1)
    next(found)
    assert threading.active_count() == before + 1
    found.close()
    assert threading.active_count() == before


def test_work_side_by_side_comes_in_order_and_uses_several_threads():
    threads, most = set(), []

    def slow(number):
        threads.add(threading.get_ident())
        time.sleep(0.02 if number % 2 else 0.001)
        return number * number

    def items():
        for number in range(12):
            most.append(number)
            yield number

    found = batching.side_by_side(slow, items(), 3)
    assert next(found) == 0 and len(most) <= 4  # no more than asked are in the making
    assert list(found) == [number * number for number in range(1, 12)] and len(threads) > 1
    with pytest.raises(ZeroDivisionError):
        list(batching.side_by_side(lambda number: 1 / number, range(3)))
