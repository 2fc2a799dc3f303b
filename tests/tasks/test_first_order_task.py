"""FirstOrder's task: its losses, and that a few steps on one pair learn it."""

import jax
import numpy as np
import optax
import pytest
import tiny_first_order

from vton_jax.core.errors import UserError
from vton_jax.models import first_order
from vton_jax.tasks.first_order import FirstOrderTask


def batch(count=2, side=64):
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (count, 6, 8, 3), dtype=np.uint8)
    wide = np.repeat(np.repeat(coarse, 16, 1), 16, 2)
    points = generator.uniform(10, side - 10, (count, 96, 2)).astype(np.float32)
    return {"source": wide[:, :side, :side], "driving": wide[:, 4 : 4 + side, 6 : 6 + side],
            "source_points": points, "driving_points": points - np.float32([6, 4]),
            "seen": np.ones((count, 96), bool)}  # fmt: skip


def made(**fields):
    task = FirstOrderTask(size=(64, 64), **fields)
    task.first_order = tiny_first_order.TINY
    return task


def test_a_few_steps_learn_where_one_pair_moves(monkeypatch):
    # Half the sides at which the networks see pictures: the steps take a quarter of the time.
    monkeypatch.setattr(first_order, "SMALL", 32)
    monkeypatch.setattr(first_order, "WORKING", 64)
    task, one = made(), batch(count=1)
    params = task.init(jax.random.PRNGKey(0), one)
    optimizer = optax.flatten(optax.adam(3e-3))  # all parameters together are compiled once
    state = optimizer.init(params)

    @jax.jit
    def step(params, state, key):
        (value, terms), gradient = jax.value_and_grad(task._loss, has_aux=True)(params, {}, one, key)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(params, updates), state, value, terms

    first = None
    for index in range(15):
        params, state, value, terms = step(params, state, jax.random.PRNGKey(index))
        first = first or (float(value), float(terms["flow"]))
    assert float(value) < 0.8 * first[0] and float(terms["flow"]) < first[1]


def test_modules_follow_the_options():
    assert made().modules == ("first_order",)
    task, one = made(adversarial_weight=0.1), batch()
    assert task.modules == ("first_order", "discriminator") and set(task.losses()) == {(name,) for name in task.modules}
    params = jax.eval_shape(lambda: task.init(jax.random.PRNGKey(0), one))
    for loss in task.losses().values():
        value, terms = jax.eval_shape(loss, params, {}, one, jax.random.PRNGKey(0))
        assert value.shape == () and all(term.shape == () for term in terms.values())
    _, terms = jax.eval_shape(made(flow_weight=0.0)._loss, params, {}, one, jax.random.PRNGKey(0))
    assert "flow" not in terms


def test_mistakes_die_in_a_sentence():
    for fields, said in (({"size": (96, 64)}, "multiples of 64"), ({"region": "hand"}, "--region is one of")):
        with pytest.raises(UserError, match=said):
            FirstOrderTask(**({"size": (64, 64)} | fields))
    with pytest.raises(UserError, match="learns from clips"):
        made().open_batches("catalogue", 2, 0, (64, 64), "train")
