"""The loop of train.py with a tiny task: exact resume, the stop at a NaN, many devices, data sources."""

import contextlib
import itertools
import json
import re
import subprocess
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_training
from tiny_training import TinyTask, grain_source, memory_source, metrics, saved_state, tiny_batch_at

from vton_jax.inputs import input_pipeline, reading_views
from vton_jax.media import progress as progress_lib
from vton_jax.training import run_guard, train_state

with contextlib.suppress(ImportError):
    import grain  # noqa: F401  imported before flagsaver looks: it would delete the flags that Grain defines later

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("source", [memory_source, grain_source])
def test_a_resumed_run_is_the_same_run_bit_by_bit(train, source, capsys):
    common = ["--num_steps=14", "--checkpoint_every=5", "--ema_decay=0.9"]
    whole = train(*common, source=source, name="whole")

    class Killed(Exception):
        pass

    def dying(batch_size, seed):
        batches = source(batch_size, seed)
        draws = 0

        class Dying(type(batches)):
            def __next__(self):
                nonlocal draws
                draws += 1
                if draws == 9:  # the first is drawn for its shapes: dies in step 8, resumes from 5
                    raise Killed
                return super().__next__()

        batches.__class__ = Dying
        return batches

    with pytest.raises(Killed):
        train(*common, source=dying, name="parts")
    capsys.readouterr()
    parts = train(*common, source=source, name="parts")
    assert "resumed at step 5 " in capsys.readouterr().err
    assert metrics(whole) == metrics(parts)
    assert [line["step"] for line in metrics(parts)] == list(range(1, 15))
    one, two = saved_state(whole, 14), saved_state(parts, 14)
    assert jax.tree.structure(one) == jax.tree.structure(two)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (whole / "finished.json").read_text() == (parts / "finished.json").read_text()
    assert {path.name for path in (parts / "checkpoints" / "14").iterdir()} >= {"state", "data"}
    again = train(*common, source=source, name="parts")  # nothing left to do: only finishes once more
    assert metrics(again) == metrics(whole)


def test_nan_stops_at_its_step_and_names_its_term(train, capsys, tmp_path):
    order = memory_source(4, 0)
    poison = int([next(order)["index"] for _ in range(5)][4][0])  # an example first met in step 5
    with pytest.raises(SystemExit) as stop:
        train("--num_steps=12", f"--poison_at={poison}", "--checkpoint_every=2")
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert stop.value.code == 2
    assert "step 5: shade = nan" in said and "l2" not in said and "checkpoint is of step 4" in said
    assert [line["step"] for line in metrics(tmp_path / "run")] == [1, 2, 3, 4]


def test_other_shapes_and_models_are_refused_in_a_sentence(train, capsys):
    train("--num_steps=2")
    with pytest.raises(SystemExit):
        train("--num_steps=3", "--tiny_network.width=5")
    assert "does not fit this tiny" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        train("--num_steps=3", "--ema_decay=0.9")
    assert "ema_params" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        train("--num_steps=3", source=grain_source)
    assert "another kind of --dataset" in capsys.readouterr().err


def test_max_seconds_stops_cleanly_and_finishes(train):
    workdir = train("--num_steps=1000000", "--max_seconds=2", "--schedule_seconds=2", "--log_every=20")
    assert (workdir / "finished.json").exists()
    assert (workdir / "flags.txt").read_text().count("--schedule_seconds=2.0") == 1


def test_pictures_and_flags_file(train):
    workdir = train("--num_steps=2", "--pictures_every=1", "--size=64x48", "--dtype=bfloat16")
    written = (workdir / "flags.txt").read_text()
    assert "--size=64x48\n" in written and "logtostderr" not in written
    assert re.match(r"# step 0: vton-jax( \S+)?, (commit [0-9a-f]{12}\S*, )?jax \d", written)
    assert list(workdir.glob("events.*")) or list(workdir.glob("pictures/*.png"))
    kernels = jax.tree.leaves(saved_state(workdir, 2)["params"])  # networks compute in bfloat16, parameters do not
    assert {kernel.dtype for kernel in kernels} == {np.dtype("float32")}


def test_a_workdir_as_in_a_bucket_trains_and_resumes(train, monkeypatch):
    """No appending, no locks, no digests of our own: what is left when a workdir is gs://."""
    common = ["--checkpoint_every=2", "--schedule=constant"]
    whole = train("--num_steps=7", *common, name="whole")
    monkeypatch.setattr(run_guard, "is_remote", lambda path: True)
    train("--num_steps=4", *common, name="parts")
    parts = train("--num_steps=7", *common, name="parts")
    assert metrics(parts) == metrics(whole) and not list(parts.rglob("sha256.json"))
    assert not (parts / "run.lock").exists()  # a note, taken away at the end
    for a, b in zip(*(jax.tree.leaves(saved_state(folder, 7)) for folder in (parts, whole)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_time_left(monkeypatch, capsys):
    now = 100.0
    monkeypatch.setattr(progress_lib.time, "monotonic", lambda: now)
    progress = progress_lib.Progress(1000, first_step=200)
    now = 160.0  # 40 steps took a minute, 760 are left
    progress.show(240, {"loss": 0.5})
    progress.show(240, {"loss": 0.5}, seconds_left=90)
    assert capsys.readouterr().err.splitlines() == [
        "step 240/1000 loss=0.5 [19:00 left]",
        "step 240/1000 loss=0.5 [1:30 left]",
    ]


def test_unwritable_workdir(train, capsys, tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(SystemExit):
        train("--num_steps=2")
    assert "cannot be written" in capsys.readouterr().err


def test_each_loss_moves_its_own_modules_only():
    class Duel:
        modules = ("generator", "discriminator")

        def losses(self):
            def first(params, frozen, batch, rng):
                value = params["generator"] * params["discriminator"] * 3.0
                return value, {"fool": value}

            def second(params, frozen, batch, rng):
                value = params["generator"] * params["discriminator"] * -7.0
                return value, {"tell_apart": value}

            return {"generator": first, ("discriminator",): second}

    import optax

    optimizer = optax.sgd(1.0)
    state = train_state.create({"generator": jnp.float32(1), "discriminator": jnp.float32(2)}, optimizer)
    step = jax.jit(train_state.make_train_step(Duel(), optimizer))
    new, measured = step(state, {}, {}, jax.random.PRNGKey(0), learning_rate_scale=0.5)
    assert float(new.params["generator"]) == 1 - 0.5 * 6 and float(new.params["discriminator"]) == 2 + 0.5 * 7
    assert measured["fool"] == 6 and measured["tell_apart"] == -14 and measured["finite"] == 1
    assert measured["gradient_norm/discriminator"] == 7


def test_steps_in_one_call_equal_single_steps():
    task, key = TinyTask(), jax.random.PRNGKey(3)

    def batch_at(position):
        return tiny_batch_at(jax.random.fold_in(key, position), 4, (8, 6))

    optimizer = train_state.make_optimizer(1e-2, 4, 2, 1.0)
    state = train_state.create(task.init(key, batch_at(0)), optimizer, 0.9)
    step, mesh = train_state.make_train_step(task, optimizer, 0.9), train_state.make_mesh()
    single = state
    for position in range(4):
        single, last = jax.jit(step)(single, task.frozen(), batch_at(position), key)
    steps = train_state.make_live_steps(step, 4, train_state.batch_sharding(mesh))
    many, stacked = jax.jit(steps)(state, task.frozen(), jax.tree_util.Partial(batch_at), 0, key)
    assert stacked["loss"].shape == (4,) and int(many.step) == 4
    np.testing.assert_allclose(stacked["loss"][-1], last["loss"], rtol=1e-5)
    for a, b in zip(jax.tree.leaves(single.params), jax.tree.leaves(many.params), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_examples_on_the_device_are_no_constants_of_the_program(train, monkeypatch, recwarn):
    def large_source(batch_size, seed):
        arrays = np.zeros(10_000, np.float32)
        draw = lambda arrays, key: tiny_batch_at(key, batch_size, (8, 6)) | {"index": arrays[:batch_size]}  # noqa: E731
        return input_pipeline.DeviceBatches(draw, arrays, seed, 0)

    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")  # a CPU takes single steps always
    before = jax.config.jax_captured_constants_warn_bytes
    jax.config.update("jax_captured_constants_warn_bytes", 20_000)
    try:
        train("--num_steps=4", "--steps_per_call=2", source=large_source, name="large")
    finally:
        jax.config.update("jax_captured_constants_warn_bytes", before)
    assert not [str(warning.message) for warning in recwarn if "constants" in str(warning.message)]


def test_steps_per_call_resumes_and_logs_every_step(train, monkeypatch, capsys):
    def live_source(batch_size, seed):
        return input_pipeline.DeviceBatches(
            lambda shade, key: tiny_batch_at(key, batch_size, (8, 6)) | {"index": shade}, np.arange(batch_size), seed, 0
        )

    one_by_one = train("--num_steps=7", source=live_source, name="one")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")  # a CPU takes single steps always
    with pytest.raises(SystemExit, match="2"):  # what lies in memory is no program's to draw
        train("--num_steps=4", "--steps_per_call=3", name="memory")
    assert "it needs a --dataset of cached examples" in capsys.readouterr().err
    train("--num_steps=4", "--schedule=constant", "--steps_per_call=3", source=live_source, name="constant")
    train("--num_steps=7", "--checkpoint_every=3", "--steps_per_call=3", source=live_source, name="many")
    single, many = metrics(one_by_one), metrics(one_by_one.parent / "many")
    assert [line["step"] for line in many] == list(range(1, 8))
    np.testing.assert_allclose([a["loss"] for a in many], [a["loss"] for a in single], rtol=1e-4)


def one_step(task, batch_size=8, **settings):
    """The state and the metrics after one step from the same start."""
    source = memory_source(batch_size, 0)
    batch = next(source)
    optimizer = train_state.make_optimizer(1e-2, 3)
    state = train_state.create(task.init(jax.random.PRNGKey(0), batch), optimizer)
    step = jax.jit(train_state.make_train_step(task, optimizer, **settings))
    return step(state, task.frozen(), batch, jax.random.PRNGKey(1))


@pytest.mark.parametrize("settings", [{"accumulate": 4}, {"remat": True}])
def test_saving_memory_changes_no_gradient(settings):
    task = TinyTask(noise=0.0)  # parts draw their own noise
    (plain, wanted), (saving, found) = one_step(task), one_step(task, **settings)
    np.testing.assert_allclose(found["gradient_norm"], wanted["gradient_norm"], rtol=1e-5)
    np.testing.assert_allclose(found["l2"], wanted["l2"], rtol=1e-5)
    # Adam's first step is the gradient's sign times the rate, whatever its size: compare its moments.
    for a, b in zip(jax.tree.leaves(plain.opt_state), jax.tree.leaves(saving.opt_state), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-8)


def test_parts_of_a_batch_draw_their_own_noise():
    (_, whole), (_, parts) = one_step(TinyTask(noise=0.5)), one_step(TinyTask(noise=0.5), accumulate=2)
    assert whole["l2"] != parts["l2"] and abs(whole["l2"] - parts["l2"]) < 0.1


def test_remat_keeps_only_convolutions_for_the_gradient():
    """On the real network, in shapes alone: the bytes that wait between the forward and the backward pass."""
    from vton_jax import tasks

    task, batch = tasks.ReaderTask(size=(64, 64)), reading_views.batch_shapes(8, (64, 64))
    params = jax.eval_shape(lambda: task.init(jax.random.PRNGKey(0), batch))
    (loss,) = task.losses().values()

    def waiting(loss):
        kept = jax.eval_shape(
            lambda p, b: jax.vjp(lambda q: loss(q, {}, b, jax.random.PRNGKey(0))[0], p)[1], params, batch
        )
        return sum(np.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(kept))

    policy = train_state._save_convolutions
    assert waiting(jax.checkpoint(loss, policy=policy)) < 0.6 * waiting(loss)


def test_a_step_that_is_not_finite_changes_nothing_nor_do_those_after_it():
    task, source = TinyTask(poison_at=int(next(memory_source(4, 0))["index"][0])), memory_source(4, 0)
    optimizer = train_state.make_optimizer(1e-2, 9)
    bad, good = next(source), next(source)
    start = train_state.create(task.init(jax.random.PRNGKey(0), bad), optimizer, 0.9)
    step = jax.jit(train_state.make_train_step(task, optimizer, 0.9))
    key = jax.random.PRNGKey(0)
    first, measured = step(start, task.frozen(), bad, key)
    assert measured["finite"] == 0
    second, later = step(first, task.frozen(), good, key, healthy=measured["finite"])
    assert later["finite"] == 0 and np.isfinite(later["loss"])
    for a, b in zip(jax.tree.leaves(start), jax.tree.leaves(second), strict=True):
        np.testing.assert_array_equal(a, b)
    third, _ = step(second, task.frozen(), good, key)
    assert int(third.step) == 1 and any(
        (a != b).any() for a, b in zip(*map(jax.tree.leaves, (third.params, start.params)), strict=True)
    )


def test_evaluation_measures_the_moving_average_on_the_same_batches(train):
    workdir = train("--num_steps=6", "--ema_decay=0.9", "--evaluate_every=3", "--evaluate_batches=2", "--noise=0")
    lines = [line for line in metrics(workdir) if "validation/l2" in line]
    assert [line["step"] for line in lines] == [3, 6]
    state, task, source = saved_state(workdir, 6), TinyTask(noise=0.0), memory_source(4, 0)
    (loss,) = task.losses().values()
    for name in ("ema_params", "params"):
        source.set_state({"position": 0})
        l2 = np.mean([loss(state[name], task.frozen(), next(source), jax.random.PRNGKey(0))[1]["l2"] for _ in range(2)])
        assert np.isclose(l2, lines[-1]["validation/l2"], rtol=1e-5) == (name == "ema_params")
    # And the same average is what a finished run hands over.
    total = sum(float(np.abs(leaf).sum()) for leaf in jax.tree.leaves(state["ema_params"]))
    np.testing.assert_allclose(json.loads((workdir / "finished.json").read_text()), total, rtol=1e-5)


def test_profile_cache_and_the_overview_of_parameters(tmp_path):
    arguments = [
        "--num_steps=8",
        "--profile=2",
        f"--compilation_cache={tmp_path / 'cache'}",
        "--accumulate=2",
        "--remat",
    ]
    always = {"JAX_PERSISTENT_COMPILATION_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    command = tiny_training.command(tmp_path / "run", *arguments)
    environment = tiny_training.environment() | always
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "run" / "profile").rglob("*.xplane.pb"))
    assert any("step" in path.name for path in (tmp_path / "cache").rglob("*"))
    table = {line.split()[0]: line.split()[1:] for line in done.stderr.splitlines() if len(line.split()) == 4}
    assert table["Conv_0"][:2] == ["2", "112"] and table["tiny_network"][:2] == ["4", "223"]


def test_clipping_shortens_the_gradient_and_keeps_its_direction():
    long, short = {"a": jnp.array([30.0, 0.0]), "b": jnp.array(40.0)}, {"a": jnp.array([0.3, 0.0]), "b": jnp.array(0.4)}
    for clip, gradient, scale in ((1.0, long, 1 / 50), (1.0, short, 1.0), (0.0, long, 1.0)):
        optimizer = train_state.make_optimizer(1.0, 10, gradient_clip=clip)
        _, (_, (adam, *_)) = optimizer.update(gradient, optimizer.init(gradient))
        for moment, part in zip(jax.tree.leaves(adam.mu), jax.tree.leaves(gradient), strict=True):
            np.testing.assert_allclose(moment, 0.1 * scale * part, rtol=1e-5)  # Adam's first moment


def test_schedule_warms_up_and_falls_to_zero():
    optimizer = train_state.make_optimizer(1.0, 10, 4)
    params, rates = jnp.zeros(()), []
    opt_state = optimizer.init(params)
    for _ in range(11):
        update, opt_state = optimizer.update(jnp.ones(()), opt_state)
        rates.append(-float(update))
    np.testing.assert_allclose(rates[:4], [0.25, 0.5, 0.75, 1.0], rtol=1e-4)
    assert rates[-1] == 0 and all(a >= b - 1e-5 for a, b in itertools.pairwise(rates[3:]))
