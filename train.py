"""Trains a model: python train.py --flagfile=vton_jax/flagfiles/NAME.flags --workdir=DIR

Run the same command again to go on where it stopped: checkpoints in WORKDIR/checkpoints, numbers in
WORKDIR/metrics.jsonl and TensorBoard files, the flags in WORKDIR/flags.txt. Every setting of a model is a flag,
`--multi_path_cnn.latent_size=64`; `python train.py --model=NAME --help` lists them. SIGTERM and Ctrl-C save and stop;
exit codes: 0 trained, 2 something to mend (said in a sentence), 143 stopped by SIGTERM, 130 by Ctrl-C.
"""

import collections
import contextlib
import functools
import importlib
import math
import os
import time

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from etils import epath

from vton_jax.command_line import flag_utils
from vton_jax.core.errors import UserError
from vton_jax.inputs import input_pipeline
from vton_jax.media import progress as progress_lib
from vton_jax.training import checkpoints, compiler, distributed, metric_writer, run_guard, sharding, train_state

FLAGS = flags.FLAGS
flags.DEFINE_string("model", None, "What to train: a name in vton_jax.tasks.TASKS.")
flags.DEFINE_string("workdir", None, "Folder of the run, or gs://BUCKET/FOLDER; created, resumed from.")
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
flags.DEFINE_string(
    "dataset", "mannequin", "mannequin (drawn live), the folder of a prepared dataset, or FOLDER:0.7,FOLDER:0.3."
)
flags.DEFINE_string("split", "train", "The split to train on.")
flags.DEFINE_integer("log_every", 50, "Steps between log lines.", lower_bound=1)
flags.DEFINE_integer("checkpoint_every", 1000, "Steps between checkpoints.", lower_bound=1)
flags.DEFINE_integer("pictures_every", 1000, "Steps between pictures (0: none).", lower_bound=0)
flags.DEFINE_integer("evaluate_every", 0, "Steps between evaluations on --evaluate_split (0: none).", lower_bound=0)
flags.DEFINE_integer("evaluate_batches", 8, "Batches of an evaluation, the same ones each time.", lower_bound=1)
flags.DEFINE_string("evaluate_split", "validation", "The held-out split for evaluations and, then, pictures.")
flags.DEFINE_integer(
    "steps_per_call", 1, "Steps in one program, with the live source on an accelerator.", lower_bound=1
)
flags.DEFINE_integer("accumulate", 1, "Parts that a batch is worked off in, to save memory.", lower_bound=1)
flags.DEFINE_bool("remat", False, "Compute all but convolutions again for the gradient, to save memory.")
flags.DEFINE_integer("fsdp", 1, "Spread parameters and optimizer over so many devices.", lower_bound=1)
flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16"], "What the networks compute in.")
flags.DEFINE_enum(
    "on_nan", "stop", ["stop", "skip"], "At a NaN: keep batch and state and stop, or leave the batch out."
)
flags.DEFINE_string("export", None, "File (safetensors) for the trained weights.")
flags.DEFINE_float("max_seconds", 0, "Stop cleanly after so many seconds of this run (0: no limit).", lower_bound=0)
flags.DEFINE_integer("profile", 0, "Calls to trace into WORKDIR/profile, once the first are over.", lower_bound=0)
flags.DEFINE_string("compilation_cache", None, "Folder that keeps compiled programs from run to run.")
flags.DEFINE_bool("distributed", False, "One of several processes that a launcher started (SLURM is seen without).")
flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0, where no launcher tells.")
flags.DEFINE_integer("num_processes", None, "Number of processes, with --coordinator.", lower_bound=1)
flags.DEFINE_integer("process_id", None, "Number of this process, from 0, with --coordinator.", lower_bound=0)

SKIPPED_IN_A_ROW = 100  # with --on_nan=skip: so many, and nothing is learnt any more


def define_model_flags(arguments: list[str]) -> None:
    """Defines the flags of the model that the command line names."""
    tasks = importlib.import_module("vton_jax.tasks").TASKS
    flag_utils.define_settings(tasks[flag_utils.choose(flag_utils.last_value(arguments, "model"), tasks, "model")])


def check_flags() -> None:
    """Refuses what cannot go together."""
    if not FLAGS.workdir:
        raise UserError("Give --workdir=DIR, the folder of the run.")
    if FLAGS.steps_per_call > 1 and FLAGS.dataset != "mannequin":
        raise UserError("--steps_per_call above 1 draws its batches on the device: it needs --dataset=mannequin.")
    if FLAGS.schedule_seconds > 0 and FLAGS.schedule != "cosine":
        raise UserError("--schedule_seconds is the time in which the cosine falls: it needs --schedule=cosine.")
    if FLAGS.ema_decay == 1:
        raise UserError("--ema_decay=1 would keep the untrained parameters for ever; give e.g. 0.999.")
    if FLAGS.export and run_guard.is_remote(FLAGS.export):
        raise UserError("--export is a file of this machine; a finished run in a bucket exports when called again.")


def check_devices(mesh: jax.sharding.Mesh) -> None:
    """Refuses what the devices or the processes cannot share."""
    parts = mesh.size * FLAGS.accumulate
    if FLAGS.batch_size % parts:
        times = f" times --accumulate={FLAGS.accumulate}" if FLAGS.accumulate > 1 else ""
        raise UserError(
            f"--batch_size={FLAGS.batch_size} should be a multiple of the {mesh.size} devices{times}, for example "
            f"{max(1, round(FLAGS.batch_size / parts)) * parts}."
        )
    if FLAGS.schedule_seconds > 0 and jax.process_count() > 1:
        raise UserError("--schedule_seconds follows one clock: with several processes let the cosine follow the steps.")


def open_workdir(workdir: str) -> epath.Path:
    """Creates the folder and proves that it can be written to."""
    path = epath.Path(os.path.expanduser(workdir))
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / ".probe").write_text("")
        (path / ".probe").unlink()
    except ImportError as error:
        raise UserError(f"--workdir={workdir} needs more packages: pip install 'vton-jax[gcs]' ({error}).") from None
    except OSError as error:
        raise UserError(f"--workdir={workdir} cannot be written to: {error.strerror or error}.") from None
    return path


def main() -> None:
    started = time.monotonic()
    check_flags()
    distributed.start(FLAGS.coordinator, FLAGS.num_processes, FLAGS.process_id, FLAGS.distributed)
    alone, first = jax.process_count() == 1, distributed.is_first()
    if FLAGS.compilation_cache:
        jax.config.update("jax_compilation_cache_dir", os.path.expanduser(FLAGS.compilation_cache))
    steps_per_call = FLAGS.steps_per_call
    if steps_per_call > 1 and (jax.default_backend() == "cpu" or not alone):
        distributed.say("--steps_per_call is taken as 1 on a CPU and with several processes.")
        steps_per_call = 1

    # Parts: data, task, optimizer. Shapes alone so far: whatever does not fit dies before anything is compiled.
    with distributed.together():
        mesh = sharding.make_mesh(FLAGS.fsdp)
        check_devices(mesh)
        shared = {"size": FLAGS.size} | ({"dtype": getattr(jnp, FLAGS.dtype)} if FLAGS["dtype"].present else {})
        task = flag_utils.build_settings(importlib.import_module("vton_jax.tasks").TASKS[FLAGS.model], shared)
        draw = getattr(task, "live_batch", "training_batch")  # the function of mannequin.sampler that it learns from

        def open_split(split: str):
            if hasattr(task, "open_batches"):  # what it learns from are no try-on examples
                return task.open_batches(FLAGS.dataset, FLAGS.batch_size, FLAGS.seed, FLAGS.size, split)
            return input_pipeline.open_batches(FLAGS.dataset, FLAGS.batch_size, FLAGS.seed, FLAGS.size, split, draw)

        batches = open_split(FLAGS.split)
        held_out = open_split(FLAGS.evaluate_split) if FLAGS.evaluate_every else None
        by_time = FLAGS.schedule_seconds > 0
        optimizer = train_state.make_optimizer(
            FLAGS.learning_rate,
            FLAGS.num_steps,
            FLAGS.warmup_steps,
            FLAGS.gradient_clip,
            cosine=FLAGS.schedule == "cosine" and not by_time,
        )

        def keys():  # of initialisation and of the steps
            return jax.random.split(jax.random.PRNGKey(FLAGS.seed))

        def new_state(batch):
            params = task.init(keys()[0], batch)
            if set(params) != set(task.players):
                raise ValueError(f"{FLAGS.model}.init gives {sorted(params)} instead of {sorted(task.players)}")
            return train_state.create(params, optimizer, FLAGS.ema_decay)

        shapes = jax.eval_shape(new_state, batches.shapes())
        jax.eval_shape(task.frozen)

    with run_guard.full_disk_is_said(FLAGS.workdir), contextlib.ExitStack() as closing:
        # The folder of the run: ours alone, and of this run.
        stop = run_guard.Stop()
        closing.callback(stop.close)
        with distributed.together():
            if first:
                workdir = open_workdir(FLAGS.workdir)
                closing.callback(run_guard.WorkdirLock(workdir).release)
        workdir = epath.Path(os.path.expanduser(FLAGS.workdir))
        note = {"model": FLAGS.model, "batch_size": FLAGS.batch_size, "seed": FLAGS.seed}
        saved = checkpoints.Checkpoints(workdir, note)
        closing.callback(saved.close)
        saved.check(shapes, batches.kind)

        # State: new, or as it was saved.
        def for_pictures(batch):  # several processes: process 0 draws its own rows
            return train_state.shard_batch(batch, mesh) if alone else batch

        first_position = batches.get_state()
        example = for_pictures(next(held_out or batches))  # always the same pictures
        batches.set_state(first_position)
        shardings = sharding.state_shardings(shapes, mesh)
        state = sharding.place(new_state(example), shardings)
        own_frozen = task.frozen()
        frozen = sharding.replicate(own_frozen, mesh)
        seed_key = sharding.replicate(keys()[1], mesh)
        distributed.say(train_state.parameter_table(state.params, frozen))
        distributed.say(
            f"{FLAGS.model}: {train_state.count_params(state.params):,} parameters on {mesh.size} devices "
            f"({jax.devices()[0].device_kind}), {mesh.shape['fsdp']} to a copy, {jax.process_count()} processes"
        )
        so_far = {}
        if restored := saved.restore(state, batches):
            state, so_far = restored
            distributed.say(f"resumed at step {int(state.step)} from {saved.folder}")
        first_step = step = int(state.step)
        if first:
            flag_utils.write_flags(workdir / "flags.txt", first_step, run_guard.code_version())
        writer = metric_writer.MetricWriter(workdir, first_step) if first else metric_writer.NoWriter()
        closing.callback(writer.close)
        progress = progress_lib.Progress(FLAGS.num_steps, first_step, silent=not first)
        closing.callback(progress.close)
        profile = metric_writer.Profile(workdir, FLAGS.profile)
        closing.callback(profile.close)

        # Programs: one step, many steps, an evaluation.
        skip_nan = FLAGS.on_nan == "skip"
        step_fn = train_state.make_train_step(
            task,
            optimizer,
            FLAGS.ema_decay,
            accumulate=FLAGS.accumulate,
            remat=FLAGS.remat,
            skip_nan=skip_nan,
            mesh=mesh,
        )
        jitted = functools.partial(
            jax.jit,
            donate_argnums=0,
            out_shardings=(shardings, sharding.replicated(mesh)),
            compiler_options=compiler.training_options(),
        )
        one_step = jitted(step_fn)
        many_steps = {}  # by their number: the last call may be shorter
        measure = jax.jit(train_state.make_evaluation(task), out_shardings=sharding.replicated(mesh))

        def seconds() -> float:
            return time.monotonic() - started

        def all_seconds() -> float:
            return so_far.get("seconds", 0.0) + seconds()

        def learning_rate_scale() -> float:
            if not by_time:
                return 1.0
            return 0.5 * (1 + math.cos(math.pi * min(all_seconds() / FLAGS.schedule_seconds, 1.0)))

        def out_of_time() -> bool:
            if not FLAGS.max_seconds or not (alone or step % FLAGS.log_every == 0):
                return False
            return bool(distributed.of_first(seconds() >= FLAGS.max_seconds))

        # Metrics are looked at two calls late, so that the device never waits for the host.
        pending, recent = collections.deque(), so_far.get("recent", [])
        log_started, log_step, skipped = time.monotonic(), first_step, 0

        def look(last_step: int, metrics: dict) -> None:
            nonlocal log_started, log_step, skipped
            metrics = {name: np.atleast_1d(values) for name, values in jax.device_get(metrics).items()}
            for index in range(len(metrics["finite"])):
                number = last_step - len(metrics["finite"]) + 1 + index
                values = {name: float(array[index]) for name, array in metrics.items()}
                if values.pop("finite"):
                    skipped = 0
                    recent.append(values)
                else:
                    skipped += 1
                    terms = ", ".join(f"{name} = {values[name]}" for name in train_state.not_finite_terms(values))
                    if not skip_nan or skipped == SKIPPED_IN_A_ROW:
                        stop_at_nan(number, terms)
                    progress.say(f"step {number} changes nothing: {terms}")
                if number % FLAGS.log_every == 0 or number == FLAGS.num_steps:
                    means = {name: sum(one[name] for one in recent) / len(recent) for name in (recent or [{}])[0]}
                    recent.clear()
                    now = time.monotonic()
                    if number > log_step:
                        means["steps_per_second"] = (number - log_step) / max(now - log_started, 1e-9)
                    log_started, log_step = now, number
                    writer.scalars(number, means)
                    progress.show(number, means, FLAGS.max_seconds - seconds() if FLAGS.max_seconds else None)

        def drain() -> None:
            while pending:
                look(*pending.popleft())

        def stop_at_nan(number: int, terms: str) -> None:
            """Keeps the state before the bad step, which no step has changed since, as a run that begins with it."""
            folder = workdir / "not_finite"
            batches.set_state({"position": batches.position - step + number - 1})
            bad = jax.device_get(next(batches))
            batches.set_state({"position": batches.position - 1})
            inspected = checkpoints.Checkpoints(folder, note, keep=1)
            inspected.save(number - 1, state, batches, {"seconds": all_seconds()})
            inspected.wait()
            inspected.close()
            with (folder / f"batch_{jax.process_index()}.npz").open("wb") as file:
                np.savez(file, **bad)
            last_good = saved.latest_step()
            kept = "there is no checkpoint yet" if last_good is None else f"the last checkpoint is of step {last_good}"
            raise UserError(
                f"Training stopped at step {number}: {terms}; the state before it and its batch are in {folder}, "
                f"{kept}. A lower --learning_rate may help, --on_nan=skip leaves such batches out."
            )

        def save() -> None:
            drain()  # never save a state that has met a NaN
            saved.save(step, state, batches, {"seconds": all_seconds(), "recent": recent})
            writer.flush()

        def evaluate() -> None:
            held_out.set_state({"position": 0})
            found = [
                measure(state.shown_params(), frozen, train_state.shard_batch(next(held_out), mesh), seed_key)
                for _ in range(FLAGS.evaluate_batches)
            ]
            found = jax.device_get(found)
            means = {name: sum(float(one[name]) for one in found) / len(found) for name in found[0]}
            writer.scalars(step, {f"{FLAGS.evaluate_split}/{name}": value for name, value in means.items()})
            shown = " ".join(f"{name}={value:.4g}" for name, value in means.items())
            progress.say(f"step {step} on {FLAGS.evaluate_split}: {shown}")

        def show_pictures() -> None:
            params = sharding.gather(state.shown_params())
            if first:
                writer.pictures(step, task.pictures(params, frozen if alone else own_frozen, example))
                writer.flush()

        healthy = sharding.replicate(np.float32(1), mesh)
        stopped = False
        while step < FLAGS.num_steps and not out_of_time() and not (stopped := stop.wanted(step)):
            before, called, scale = step, time.monotonic(), np.float32(learning_rate_scale())
            count = min(steps_per_call, FLAGS.num_steps - step)
            profile.before_call()
            if count == 1:
                batch = train_state.shard_batch(next(batches), mesh)
                state, metrics = one_step(state, frozen, batch, seed_key, scale, healthy)
            else:
                if count not in many_steps:
                    rows = sharding.batch_sharding(mesh)
                    steps = train_state.make_live_steps(step_fn, batches.batch_at, count, rows, skip_nan)
                    many_steps[count] = jitted(steps)
                position = np.int32(batches.position)
                state, metrics = many_steps[count](state, frozen, position, seed_key, scale, healthy)
                batches.set_state({"position": batches.position + count})
            step += count
            if not skip_nan:
                healthy = metrics["finite"] if count == 1 else metrics["finite"][-1]
            profile.after_call(metrics)
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
                save()
            if due(FLAGS.evaluate_every):
                drain()
                evaluate()
            if due(FLAGS.pictures_every):
                drain()
                show_pictures()
        if step > first_step:
            save()
        saved.wait()
        progress.close()
        distributed.say(
            f"trained to step {step} of {FLAGS.num_steps} in {progress_lib.clock(all_seconds())}; "
            f"memory at most {metric_writer.peak_memory()}"
        )
        if stopped:
            distributed.say("Stopped on demand; the same command goes on from here.")
            raise SystemExit(stop.exit_code())
        if hasattr(task, "finish"):
            params = sharding.gather(state.shown_params())
            if first:
                task.finish(params, frozen if alone else own_frozen, map(for_pictures, batches), workdir)


if __name__ == "__main__":
    flag_utils.run(main, define_model_flags)
