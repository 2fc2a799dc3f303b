"""Examples that are drawn as they are needed: samples of the pipeline, the same ones at the same position."""

import jax
import numpy as np
import pytest

from vton_jax.catalogue import examples, exchanges
from vton_jax.core.errors import UserError
from vton_jax.inputs import drawn_batches, input_pipeline

pytest.importorskip("grain")
SIZE = (64, 48)


def test_batches_are_samples_and_resume_where_they_stopped(capsys):
    batches = input_pipeline.open_batches("catalogue", 2, 0, SIZE)
    assert batches.kind == "catalogue" and not batches.on_device and not capsys.readouterr().err
    drawn_batches._say_how_slow.cache_clear()
    first, second = next(batches), next(batches)
    assert capsys.readouterr().err.count("a second of a core") == 1
    found = jax.tree.map(lambda a: jax.ShapeDtypeStruct(np.shape(a), np.asarray(a).dtype), second)
    assert found == batches.shapes() and set(found) == {*input_pipeline.REQUIRED, *input_pipeline.OPTIONAL}
    assert (first["input_image"][0] != first["input_image"][1]).any()
    again = input_pipeline.open_batches("catalogue", 2, 0, SIZE)
    again.set_state({"position": 1})
    for name, array in next(again).items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)


def test_users_take_turns_and_half_of_the_garments_lie_flat(monkeypatch):
    def draw(number, split, size, **_):
        return {"flat_segmentation": np.ones(SIZE, np.uint8), "number": number}

    def sample(example, flat):
        return dict.fromkeys(drawn_batches.sample_shapes(1, SIZE), (example["number"], flat))

    monkeypatch.setattr(examples, "draw", draw)
    monkeypatch.setattr(examples, "sample", sample)
    count = exchanges.CIRCLE * exchanges.EXAMPLES_OF_ONE
    at = lambda place, seed=0: drawn_batches.example(place, seed, "train", SIZE)["donor_flat"]  # noqa: E731
    numbers, flat = np.array([at(place) for place in range(2 * count)]).T
    np.testing.assert_array_equal(np.sort(numbers), np.arange(2 * count))  # every example once
    users = numbers // exchanges.EXAMPLES_OF_ONE
    assert (np.sort(users[:count].reshape(-1, exchanges.CIRCLE), 1) == np.arange(exchanges.CIRCLE)).all()
    by_user = [np.mean(flat[users == user]) for user in range(exchanges.CIRCLE)]
    assert 0.4 < min(by_user) <= max(by_user) < 0.6
    assert at(0, 1)[0] > 100_000  # another seed, others


def test_a_pose_picture_comes_with_those_who_want_one():
    batch = next(input_pipeline.open_batches("catalogue", 1, 0, SIZE, "validation", pose_picture=True))
    assert batch["pose_image"].shape == (1, *SIZE, 3) and "other_body_segmentation" not in batch


@pytest.mark.parametrize(("seed", "split", "said"), [(0, "holdout", "no split 'holdout'"), (-1, "train", "from 0 on")])
def test_what_cannot_be_drawn_is_said(seed, split, said):
    with pytest.raises(UserError, match=said):
        drawn_batches.open_batches(seed, 2, SIZE, split)
