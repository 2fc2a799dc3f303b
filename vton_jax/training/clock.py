"""The time of a run, and what depends on it: the end by the clock, and a learning rate that falls with time."""

import math
import time

import jax

from vton_jax.training import distributed
from vton_jax.training.options import TrainingOptions


class Clock:
    """Seconds since `started` (by `time.monotonic`), and `before`, those of the runs that this one goes on from."""

    def __init__(self, options: TrainingOptions, started: float):
        self.options, self.started, self.before = options, started, 0.0

    def seconds(self) -> float:
        """Of this run."""
        return time.monotonic() - self.started

    def all_seconds(self) -> float:
        """Of this run and of those before it."""
        return self.before + self.seconds()

    def seconds_left(self) -> float | None:
        """Of --max_seconds; None where there is no limit."""
        return self.options.max_seconds - self.seconds() if self.options.max_seconds else None

    def out_of_time(self, step: int) -> bool:
        """Whether --max_seconds are over, by the clock of process 0; several processes ask it at log lines only."""
        if not self.options.max_seconds or not (jax.process_count() == 1 or step % self.options.log_every == 0):
            return False
        return bool(distributed.of_first(self.seconds() >= self.options.max_seconds))

    def learning_rate_scale(self) -> float:
        """What the optimizer's rate is multiplied by, in [0, 1]: the cosine of --schedule_seconds, else 1."""
        if not self.options.schedule_seconds > 0:
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * min(self.all_seconds() / self.options.schedule_seconds, 1.0)))
