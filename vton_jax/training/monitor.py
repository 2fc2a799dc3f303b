"""How a training goes: metrics are looked at two calls late, so that the device never waits for the host."""

import collections
import time
from collections.abc import Callable
from typing import NoReturn

import jax
import numpy as np

from vton_jax.media.progress import Progress
from vton_jax.training import train_state
from vton_jax.training.clock import Clock
from vton_jax.training.metric_writer import MetricWriter, NoWriter
from vton_jax.training.options import TrainingOptions

SKIPPED_IN_A_ROW = 100  # with --on_nan=skip: so many, and nothing is learnt any more
CALLS_LATE = 2


class Monitor:
    """Logs the means of the metrics since the last log line, and says what is not finite.

    Args:
      options: how often to log, and what to do at a NaN.
      clock: for the time left.
      writer: of metrics.jsonl and TensorBoard.
      progress: of the terminal.
      step: where the run stands.
      recent: metrics of steps before, not logged yet, which `look` adds to.
      stop_at_nan: (step, its terms that are not finite, in words); ends the run.
    """

    def __init__(
        self,
        options: TrainingOptions,
        clock: Clock,
        *,
        writer: MetricWriter | NoWriter,
        progress: Progress,
        step: int,
        recent: list[dict[str, float]],
        stop_at_nan: Callable[[int, str], NoReturn],
    ):
        self.options, self.clock, self.writer, self.progress = options, clock, writer, progress
        self.recent, self.stop_at_nan = recent, stop_at_nan
        self.pending, self.skipped = collections.deque(), 0
        self.count_from(step)

    def count_from(self, step: int) -> None:
        """Steps a second are counted from here on."""
        self.log_started, self.log_step = time.monotonic(), step

    def add(self, step: int, metrics: dict) -> None:
        """Takes the metrics of a call that ended at `step`, which may still be computed, and looks at older ones."""
        self.pending.append((step, metrics))
        if len(self.pending) > CALLS_LATE:
            self.look(*self.pending.popleft())

    def drain(self) -> None:
        """Looks at all metrics that there are."""
        while self.pending:
            self.look(*self.pending.popleft())

    def look(self, last_step: int, metrics: dict) -> None:
        """Looks at the metrics of the steps of one call, scalars or [steps]."""
        metrics = {name: np.atleast_1d(values) for name, values in jax.device_get(metrics).items()}
        count = len(metrics["finite"])
        for index in range(count):
            number = last_step - count + 1 + index
            values = {name: float(array[index]) for name, array in metrics.items()}
            if values.pop("finite"):
                self.skipped = 0
                self.recent.append(values)
            else:
                self._meet_nan(number, values)
            if number % self.options.log_every == 0 or number == self.options.num_steps:
                self._log(number)

    def _meet_nan(self, number: int, values: dict[str, float]) -> None:
        self.skipped += 1
        terms = ", ".join(f"{name} = {values[name]}" for name in train_state.not_finite_terms(values))
        if self.options.on_nan != "skip" or self.skipped == SKIPPED_IN_A_ROW:
            self.stop_at_nan(number, terms)
        self.progress.say(f"step {number} changes nothing: {terms}")

    def _log(self, number: int) -> None:
        recent, now = self.recent, time.monotonic()
        means = {name: sum(one[name] for one in recent) / len(recent) for name in (recent or [{}])[0]}
        recent.clear()
        if number > self.log_step:
            means["steps_per_second"] = (number - self.log_step) / max(now - self.log_started, 1e-9)
        self.count_from(number)
        self.writer.scalars(number, means)
        self.progress.show(number, means, self.clock.seconds_left())
