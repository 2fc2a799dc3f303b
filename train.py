"""Trains a model: python train.py --flagfile=vton_jax/flagfiles/NAME.flags --workdir=DIR

Run the same command again to go on where it stopped: checkpoints in WORKDIR/checkpoints, numbers in
WORKDIR/metrics.jsonl and TensorBoard files, the flags in WORKDIR/flags.txt. Every setting of a model is a flag,
`--multi_path_cnn.latent_size=64`; `python train.py --model=NAME --help` lists them.
"""

import collections
import importlib
import math
import os
import sys
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from vton_jax import checkpoints, flag_utils, input_pipeline, metric_writer, train_state
from vton_jax.errors import UserError

FLAGS = flags.FLAGS
flags.DEFINE_string("model", None, "What to train: a name in vton_jax.tasks.TASKS.")
flags.DEFINE_string("workdir", None, "Folder of the run; created, resumed from.")
flags.DEFINE_integer("num_steps", 1000, "Steps in all.", lower_bound=1)
flags.DEFINE_integer("batch_size", 8, "Examples a step, over all devices.", lower_bound=1)
flags.DEFINE_float("learning_rate", 1e-3, "Adam's rate after the warm-up.", lower_bound=0)
flags.DEFINE_integer("warmup_steps", 100, "Steps of linear warm-up.", lower_bound=0)
flags.DEFINE_enum(
    "schedule", "cosine", ["cosine", "constant"], "The rate after the warm-up: falling to 0, or constant."
)
flags.DEFINE_float("schedule_seconds", 0, "Let the cosine fall over so many seconds instead of steps (0: steps).")
flags.DEFINE_float("gradient_clip", 1.0, "Clip the gradient to this global norm (0: never).", lower_bound=0)
flags.DEFINE_float("ema_decay", 0, "Keep a moving average of the parameters, e.g. 0.999 (0: none).", 0, 1)
flags.DEFINE_integer("seed", 0, "Seed of initialisation, data and noise.")
flag_utils.define_size("size", "256x192", "Size of the frames.")
flags.DEFINE_string("dataset", "mannequin", "mannequin (drawn live), or the folder of a prepared TFDS dataset.")
flags.DEFINE_string("split", "train", "The split to train on.")
flags.DEFINE_integer("log_every", 50, "Steps between log lines.", lower_bound=1)
flags.DEFINE_integer("checkpoint_every", 1000, "Steps between checkpoints.", lower_bound=1)
flags.DEFINE_integer("pictures_every", 1000, "Steps between pictures (0: none).", lower_bound=0)
flags.DEFINE_integer(
    "steps_per_call", 1, "Steps in one program, with the live source on an accelerator.", lower_bound=1
)
flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16"], "What the networks compute in.")
flags.DEFINE_string("export", None, "File (safetensors) for the trained weights.")
flags.DEFINE_float("max_seconds", 0, "Stop cleanly after so many seconds of this run (0: no limit).", lower_bound=0)


def define_model_flags(arguments: list[str]) -> None:
    """Defines the flags of the model that the command line names."""
    tasks = importlib.import_module("vton_jax.tasks").TASKS
    flag_utils.define_settings(tasks[flag_utils.choose(flag_utils.last_value(arguments, "model"), tasks, "model")])


def prepare_workdir(workdir: str | None) -> Path:
    """Creates the folder and proves that it can be written to."""
    if not workdir:
        raise UserError("Give --workdir=DIR, the folder of the run.")
    path = Path(os.path.expanduser(workdir))
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UserError(f"--workdir={workdir} cannot be written to: {error.strerror}.") from None
    return path


def main() -> None:
    started = time.monotonic()
    workdir = prepare_workdir(FLAGS.workdir)
    shared = {"size": FLAGS.size}
    if FLAGS["dtype"].present:
        shared["dtype"] = getattr(jnp, FLAGS.dtype)
    task = flag_utils.build_settings(importlib.import_module("vton_jax.tasks").TASKS[FLAGS.model], shared)
    mesh = train_state.make_mesh()
    if FLAGS.batch_size % mesh.size:
        raise UserError(f"--batch_size={FLAGS.batch_size} should be a multiple of the {mesh.size} devices.")
    live = FLAGS.dataset == "mannequin"
    steps_per_call = FLAGS.steps_per_call
    if steps_per_call > 1 and not live:
        raise UserError("--steps_per_call above 1 draws its batches on the device: it needs --dataset=mannequin.")
    if steps_per_call > 1 and (jax.default_backend() == "cpu" or jax.process_count() > 1):
        print("--steps_per_call is taken as 1 on a CPU and with several processes.", file=sys.stderr)
        steps_per_call = 1

    # Parts: data, task, state.
    share = FLAGS.batch_size // jax.process_count()
    draw = getattr(task, "live_batch", "training_batch")  # the function of mannequin.sampler that the task learns from
    if hasattr(task, "open_batches"):  # what it learns from are no try-on examples
        batches = task.open_batches(FLAGS.dataset, share, FLAGS.seed, FLAGS.size, FLAGS.split)
    else:
        batches = input_pipeline.open_batches(FLAGS.dataset, share, FLAGS.seed, FLAGS.size, FLAGS.split, draw)
    first_position = batches.get_state()
    example = train_state.shard_batch(next(batches), mesh)  # shapes for init, and always the same pictures
    batches.set_state(first_position)
    init_key, seed_key = jax.random.split(jax.random.PRNGKey(FLAGS.seed))
    params = task.init(init_key, example)
    if set(params) != set(task.players):
        raise ValueError(f"{FLAGS.model}.init gives {sorted(params)} instead of the players {sorted(task.players)}")
    frozen = train_state.replicate(task.frozen(), mesh)
    by_time = FLAGS.schedule_seconds > 0 and FLAGS.schedule == "cosine"
    optimizer = train_state.make_optimizer(
        FLAGS.learning_rate,
        FLAGS.num_steps,
        FLAGS.warmup_steps,
        FLAGS.gradient_clip,
        cosine=FLAGS.schedule == "cosine" and not by_time,
    )
    state = train_state.replicate(train_state.create(params, optimizer, FLAGS.ema_decay), mesh)
    del params
    counts = {player: f"{train_state.count_params(tree):,}" for player, tree in state.params.items()}
    print(f"{FLAGS.model}: {counts} parameters, {train_state.count_params(frozen):,} frozen, {mesh.size} devices "
          f"({jax.devices()[0].device_kind})", file=sys.stderr)  # fmt: skip

    # Resume.
    saved = checkpoints.Checkpoints(workdir, FLAGS.model)
    earlier_seconds = 0.0
    if restored := saved.restore(state, batches):
        state, earlier_seconds = restored
        print(f"resumed at step {int(state.step)} from {saved.folder}", file=sys.stderr)
    first_step = step = int(state.step)
    flag_utils.write_flags(workdir / "flags.txt")
    writer = metric_writer.MetricWriter(workdir, first_step)
    progress = metric_writer.Progress(FLAGS.num_steps, first_step)

    step_fn = train_state.make_train_step(task, optimizer, FLAGS.ema_decay)
    one_step = jax.jit(step_fn, donate_argnums=0)
    many_steps = {}  # by their number: the last call may be shorter

    def seconds() -> float:
        return time.monotonic() - started

    def learning_rate_scale() -> float:
        if not by_time:
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * min((earlier_seconds + seconds()) / FLAGS.schedule_seconds, 1.0)))

    # Metrics are looked at two calls late, so that the device never waits for the host.
    pending, recent = collections.deque(), []
    log_started, log_step = time.monotonic(), first_step

    def look(last_step: int, metrics: dict) -> None:
        nonlocal log_started, log_step
        metrics = {name: np.atleast_1d(values) for name, values in jax.device_get(metrics).items()}
        for index in range(len(metrics["finite"])):
            number = last_step - len(metrics["finite"]) + 1 + index
            values = {name: float(array[index]) for name, array in metrics.items()}
            if not values.pop("finite"):
                terms = ", ".join(f"{name} = {values[name]}" for name in train_state.not_finite_terms(values))
                last_good = saved.latest_step()
                kept = (
                    "there is no checkpoint yet" if last_good is None else f"the last checkpoint is of step {last_good}"
                )
                raise UserError(
                    f"Training stopped at step {number}: {terms}; {kept}. A lower --learning_rate may help."
                )
            recent.append(values)
            if number % FLAGS.log_every == 0 or number == FLAGS.num_steps:
                means = {name: sum(one[name] for one in recent) / len(recent) for name in recent[0]}
                recent.clear()
                now = time.monotonic()
                if number > log_step:
                    means["steps_per_second"] = (number - log_step) / max(now - log_started, 1e-9)
                log_started, log_step = now, number
                writer.scalars(number, means)
                left = FLAGS.max_seconds - seconds() if FLAGS.max_seconds else None
                progress.show(number, means, left)

    def drain() -> None:
        while pending:
            look(*pending.popleft())

    try:
        while step < FLAGS.num_steps and not (FLAGS.max_seconds and seconds() >= FLAGS.max_seconds):
            before, called, scale = step, time.monotonic(), np.float32(learning_rate_scale())
            count = min(steps_per_call, FLAGS.num_steps - step)
            if count == 1:
                batch = train_state.shard_batch(next(batches), mesh)
                state, metrics = one_step(state, frozen, batch, seed_key, scale)
            else:
                if count not in many_steps:
                    sharding = train_state.batch_sharding(mesh)
                    steps = train_state.make_live_steps(step_fn, batches.batch_at, count, sharding)
                    many_steps[count] = jax.jit(steps, donate_argnums=0)
                state, metrics = many_steps[count](state, frozen, np.int32(batches.position), seed_key, scale)
                batches.set_state({"position": batches.position + count})
            step += count
            if before == first_step:
                jax.block_until_ready(metrics)
                progress.say(f"first call (compilation included): {time.monotonic() - called:.1f} s")
                log_started, log_step = time.monotonic(), step
            pending.append((step, metrics))
            if len(pending) > 2:
                look(*pending.popleft())
            progress.advance(step)

            def due(every: int, before=before, now=step) -> bool:
                return every > 0 and now // every > before // every

            if due(FLAGS.checkpoint_every):
                drain()  # never save a state that has met a NaN
                saved.save(step, state, batches, earlier_seconds + seconds())
            if due(FLAGS.pictures_every):
                drain()
                writer.pictures(step, task.pictures(state.shown_params(), frozen, example))
        drain()
        if step > first_step:
            saved.save(step, state, batches, earlier_seconds + seconds())
        saved.wait()
        progress.close()
        print(f"trained to step {step} of {FLAGS.num_steps} in {metric_writer.clock(earlier_seconds + seconds())}",
              file=sys.stderr)  # fmt: skip
        if hasattr(task, "finish"):
            further = (train_state.shard_batch(batch, mesh) for batch in batches)
            task.finish(state.shown_params(), frozen, further, workdir)
    finally:
        progress.close()
        writer.close()
        saved.close()


if __name__ == "__main__":
    flag_utils.run(main, define_model_flags)
