"""The compiled programs of a training: one step, several steps in one call, an evaluation."""

import functools
from collections.abc import Callable

import jax
import optax
from jax.sharding import Mesh

from vton_jax.core.programs import compiler_options
from vton_jax.training import sharding, train_state
from vton_jax.training.options import TrainingOptions


class Programs:
    """`one_step` and `evaluate` are as `train_state` builds them, but a step uses up the state that it is given.

    Args:
      options: of the step: the moving average, parts, remat, what to do at a NaN.
      task: a `Task`.
      optimizer: what makes updates of gradients.
      mesh: the devices.
      shardings: where a state lies, before a step and after it.
    """

    def __init__(
        self, options: TrainingOptions, task, optimizer: optax.GradientTransformation, *, mesh: Mesh, shardings
    ):
        self.mesh, self.skip_nan, self.many = mesh, options.on_nan == "skip", {}
        self.step = train_state.make_train_step(
            task,
            optimizer,
            options.ema_decay,
            accumulate=options.accumulate,
            remat=options.remat,
            skip_nan=self.skip_nan,
            mesh=mesh,
        )
        self.jitted = functools.partial(
            jax.jit,
            donate_argnums=0,
            out_shardings=(shardings, sharding.replicated(mesh)),
            compiler_options=compiler_options(),
        )
        self.one_step = self.jitted(self.step)
        self.evaluate = jax.jit(train_state.make_evaluation(task), out_shardings=sharding.replicated(mesh))

    def many_steps(self, count: int) -> Callable:
        """`train_state.make_live_steps`, compiled once for each `count`: the last call of a run may be shorter."""
        if count not in self.many:
            rows = sharding.batch_sharding(self.mesh)
            steps = train_state.make_live_steps(self.step, count, rows, self.skip_nan)
            self.many[count] = self.jitted(steps)
        return self.many[count]
