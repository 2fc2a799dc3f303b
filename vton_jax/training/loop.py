"""The loop of a training: a run that resumes exactly, in one process or several.

A run is what its folder holds: `checkpoints`, numbers and pictures (`metric_writer`), the lock of the process that
trains there (`run_guard`). Whatever does not fit dies before anything is compiled.
"""

import contextlib
import time
from collections.abc import Callable
from typing import NoReturn

import jax
import numpy as np
from jax.sharding import Mesh

from vton_jax.core.errors import UserError
from vton_jax.media import progress as progress_lib
from vton_jax.training import checkpoints, distributed, metric_writer, preparation, run_guard, sharding, train_state
from vton_jax.training.clock import Clock
from vton_jax.training.monitor import Monitor
from vton_jax.training.options import TrainingOptions
from vton_jax.training.programs import Programs


class TrainingLoop:
    """Trains a task. `step` counts finished steps, `before` those that were finished before the last call.

    Args:
      options: as `preparation.join_processes` returns them.
      task: a `tasks.protocol.Task`.
      mesh: as `preparation.make_mesh` returns it.
      started: when the run began, by `time.monotonic`; now, if it is not given.
      write_flags: (path, step, what runs) writes down how to repeat the run; nothing is written if it is not given.

    Raises: UserError for data and tasks that do not fit; with several processes in all of them or in none.
    """

    def __init__(
        self,
        options: TrainingOptions,
        task,
        mesh: Mesh,
        *,
        started: float | None = None,
        write_flags: Callable | None = None,
    ):
        self.options, self.task, self.mesh, self.write_flags = options, task, mesh, write_flags
        self.clock = Clock(options, time.monotonic() if started is None else started)
        self.alone, self.first = jax.process_count() == 1, distributed.is_first()
        self.workdir = preparation.folder_of(options.workdir)
        with distributed.together():
            self.batches = self._open_split(options.split)
            if options.steps_per_call > 1 and not self.batches.on_device:
                raise UserError("--steps_per_call above 1 makes its batches on the device: it needs a --dataset of "
                                "cached examples of --kind=people.")  # fmt: skip
            self.held_out = self._open_split(options.evaluate_split) if options.evaluate_every else None
            self.optimizer = train_state.make_optimizer(
                options.learning_rate,
                options.num_steps,
                options.warmup_steps,
                options.gradient_clip,
                cosine=options.schedule == "cosine" and not options.schedule_seconds > 0,
            )
            self.shapes = jax.eval_shape(self._new_state, self.batches.shapes())
            jax.eval_shape(task.frozen)

    def run(self) -> None:
        """Trains to the last step, until the time is over, or until a signal.

        Raises: UserError for a folder, a checkpoint or a disk that stops the run, and at a NaN; SystemExit by a signal.
        """
        with run_guard.full_disk_is_said(self.options.workdir), contextlib.ExitStack() as closing:
            self._open_folder(closing)
            self._begin()
            self._open_reports(closing)
            self.stopped = False
            while self.step < self.options.num_steps and not self.out_of_time() and not self.stop_if_told():
                self.advance()
                if self.should_save():
                    self.save()
                self.evaluate_if_due()
                self.show_pictures_if_due()
            self._end()

    # --- what a run begins with ---------------------------------------------------------------------------------------

    def _open_split(self, split: str):
        options = self.options
        return self.task.open_batches(options.dataset, options.batch_size, options.seed, options.size, split)

    def _keys(self):
        """Of initialisation and of the steps."""
        return jax.random.split(jax.random.PRNGKey(self.options.seed))

    def _new_state(self, batch) -> train_state.TrainState:
        params = self.task.init(self._keys()[0], batch)
        if set(params) != set(self.task.modules):
            raise ValueError(f"{self.options.model}.init gives {sorted(params)} instead of {sorted(self.task.modules)}")
        return train_state.create(params, self.optimizer, self.options.ema_decay)

    def _open_folder(self, closing: contextlib.ExitStack) -> None:
        """The folder of the run: ours alone, and of this run."""
        self.stop = run_guard.Stop()
        closing.callback(self.stop.close)
        with distributed.together():
            if self.first:
                preparation.create_workdir(self.options.workdir)
                closing.callback(run_guard.WorkdirLock(self.workdir).release)
        self.note = {name: getattr(self.options, name) for name in ("model", "batch_size", "seed")}
        self.saved = checkpoints.Checkpoints(self.workdir, self.note)
        closing.callback(self.saved.close)
        self.saved.check(self.shapes, self.batches.kind)

    def _begin(self) -> None:
        """The state: new, or as it was saved."""
        first_position = self.batches.get_state()
        self.example = self._for_pictures(next(self.held_out or self.batches))  # always the same pictures
        self.batches.set_state(first_position)
        self.shardings = sharding.state_shardings(self.shapes, self.mesh)
        self.state = sharding.place(self._new_state(self.example), self.shardings)
        self.own_frozen = self.task.frozen()
        self.frozen = sharding.replicate(self.own_frozen, self.mesh)
        self.seed_key = sharding.replicate(self._keys()[1], self.mesh)
        distributed.say(train_state.parameter_table(self.state.params, self.frozen))
        distributed.say(
            f"{self.options.model}: {train_state.count_params(self.state.params):,} parameters on {self.mesh.size} "
            f"devices ({jax.devices()[0].device_kind}), {self.mesh.shape['fsdp']} to a copy, {jax.process_count()} "
            "processes"
        )
        so_far = {}
        if restored := self.saved.restore(self.state, self.batches):
            self.state, so_far = restored
            distributed.say(f"resumed at step {int(self.state.step)} from {self.saved.folder}")
        self.clock.before, self.recent = so_far.get("seconds", 0.0), so_far.get("recent", [])
        self.first_step = self.step = self.before = int(self.state.step)

    def _open_reports(self, closing: contextlib.ExitStack) -> None:
        """Where the run says how it goes, and its programs."""
        options, step = self.options, self.first_step
        if self.first and self.write_flags:
            self.write_flags(self.workdir / "flags.txt", step, run_guard.code_version())
        self.writer = metric_writer.MetricWriter(self.workdir, step) if self.first else metric_writer.NoWriter()
        closing.callback(self.writer.close)
        self.progress = progress_lib.Progress(options.num_steps, step, silent=not self.first)
        closing.callback(self.progress.close)
        self.profile = metric_writer.Profile(self.workdir, options.profile)
        closing.callback(self.profile.close)
        self.programs = Programs(options, self.task, self.optimizer, mesh=self.mesh, shardings=self.shardings)
        self.monitor = Monitor(
            options,
            self.clock,
            writer=self.writer,
            progress=self.progress,
            step=step,
            recent=self.recent,
            stop_at_nan=self.stop_at_nan,
        )
        self.healthy = sharding.replicate(np.float32(1), self.mesh)

    # --- the parts of the loop ----------------------------------------------------------------------------------------

    def out_of_time(self) -> bool:
        return self.clock.out_of_time(self.step)

    def stop_if_told(self) -> bool:
        """Whether a signal asked for the end."""
        self.stopped = self.stop.wanted(self.step)
        return self.stopped

    def advance(self) -> None:
        """One call of a program: one step, or --steps_per_call."""
        self.before, called = self.step, time.monotonic()
        scale = np.float32(self.clock.learning_rate_scale())
        scalars = {"learning_rate_scale": scale, "healthy": self.healthy}
        count = min(self.options.steps_per_call, self.options.num_steps - self.step)
        self.profile.before_call()
        if count == 1:
            batch = sharding.shard_batch(next(self.batches), self.mesh)
            self.state, metrics = self.programs.one_step(self.state, self.frozen, batch, self.seed_key, **scalars)
        else:
            steps = self.programs.many_steps(count)
            source = self.batches.batch_at, np.int32(self.batches.position)
            self.state, metrics = steps(self.state, self.frozen, *source, self.seed_key, **scalars)
            self.batches.set_state({"position": self.batches.position + count})
        self.step += count
        if self.options.on_nan != "skip":
            self.healthy = metrics["finite"] if count == 1 else metrics["finite"][-1]
        self.profile.after_call(metrics)
        if self.before == self.first_step:
            jax.block_until_ready(metrics)
            self.progress.say(f"first call (compilation included): {time.monotonic() - called:.1f} s")
            self.monitor.count_from(self.step)
        self.monitor.add(self.step, metrics)
        self.progress.advance(self.step)

    def due(self, every: int) -> bool:
        """Whether the last call finished a step whose number `every` divides (0: never)."""
        return every > 0 and self.step // every > self.before // every

    def should_save(self) -> bool:
        return self.due(self.options.checkpoint_every)

    def save(self) -> None:
        """Saves the run as it stands; never a state that has met a NaN."""
        self.monitor.drain()
        so_far = {"seconds": self.clock.all_seconds(), "recent": self.recent}
        self.saved.save(self.step, self.state, self.batches, so_far)
        self.writer.flush()

    def evaluate_if_due(self) -> None:
        """The means of the metrics over the same held-out batches, without gradients."""
        if not self.due(self.options.evaluate_every):
            return
        self.monitor.drain()
        self.held_out.set_state({"position": 0})
        params, split = self.state.shown_params(), self.options.evaluate_split
        found = []
        for _ in range(self.options.evaluate_batches):
            batch = sharding.shard_batch(next(self.held_out), self.mesh)
            found.append(self.programs.evaluate(params, self.frozen, batch, self.seed_key))
        found = jax.device_get(found)
        means = {name: sum(float(one[name]) for one in found) / len(found) for name in found[0]}
        self.writer.scalars(self.step, {f"{split}/{name}": value for name, value in means.items()})
        shown = " ".join(f"{name}={value:.4g}" for name, value in means.items())
        self.progress.say(f"step {self.step} on {split}: {shown}")

    def show_pictures_if_due(self) -> None:
        """The task's pictures of the same batch each time."""
        if not self.due(self.options.pictures_every):
            return
        self.monitor.drain()
        params = sharding.gather(self.state.shown_params())
        if self.first:
            self.writer.pictures(self.step, self.task.pictures(params, self._frozen_here(), self.example))
            self.writer.flush()

    def stop_at_nan(self, number: int, terms: str) -> NoReturn:
        """Keeps the state before the bad step, which no step has changed since, as a run that begins with it."""
        folder = self.workdir / "not_finite"
        self.batches.set_state({"position": self.batches.position - self.step + number - 1})
        bad = jax.device_get(next(self.batches))
        self.batches.set_state({"position": self.batches.position - 1})
        inspected = checkpoints.Checkpoints(folder, self.note, keep=1)
        inspected.save(number - 1, self.state, self.batches, {"seconds": self.clock.all_seconds()})
        inspected.wait()
        inspected.close()
        with (folder / f"batch_{jax.process_index()}.npz").open("wb") as file:
            np.savez(file, **bad)
        last_good = self.saved.latest_step()
        kept = "there is no checkpoint yet" if last_good is None else f"the last checkpoint is of step {last_good}"
        raise UserError(
            f"Training stopped at step {number}: {terms}; the state before it and its batch are in {folder}, "
            f"{kept}. A lower --learning_rate may help, --on_nan=skip leaves such batches out."
        )

    # --- what a run ends with -----------------------------------------------------------------------------------------

    def _end(self) -> None:
        """Saves, says how it went, and hands over what was learned, unless a signal ended the run."""
        if self.step > self.first_step:
            self.save()
        self.saved.wait()
        self.progress.close()
        distributed.say(
            f"trained to step {self.step} of {self.options.num_steps} in "
            f"{progress_lib.clock(self.clock.all_seconds())}; memory at most {metric_writer.peak_memory()}"
        )
        if self.stopped:
            distributed.say("Stopped on demand; the same command goes on from here.")
            raise SystemExit(self.stop.exit_code())
        params = sharding.gather(self.state.shown_params())
        if self.first:
            self.task.finish(params, self._frozen_here(), map(self._for_pictures, self.batches), self.workdir)

    def _for_pictures(self, batch):
        """A batch as the task itself looks at it: spread over the mesh; in several processes the own rows."""
        return sharding.shard_batch(batch, self.mesh) if self.alone else batch

    def _frozen_here(self):
        """The frozen parameters where process 0 can look at them."""
        return self.frozen if self.alone else self.own_frozen
