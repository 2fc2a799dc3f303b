"""The state of a training and its pure step.

Conventions: `params` is {module: tree} for the modules of a task; a frozen part is none of them, its parameters travel
as the argument `frozen`. `step` counts finished steps. A batch is a dict of arrays with a leading axis B, spread over
the mesh as `sharding` says. A loss is `loss_fn(params, frozen, batch, rng) -> (scalar, {'name': term})` and its
gradient goes to the modules it is filed under, to no other. Metrics are float32 scalars.
"""

import math
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding

from vton_jax.training import sharding
from vton_jax.training.sharding import batch_sharding, make_mesh, replicate, shard_batch  # noqa: F401  (their public names)


@flax.struct.dataclass
class TrainState:
    """Everything a step changes. `ema_params` is None when no moving average is kept."""

    step: jax.Array
    params: Any
    opt_state: Any
    ema_params: Any = None

    def shown_params(self):
        """The parameters to look at, to evaluate and to release: the moving average if there is one."""
        return self.params if self.ema_params is None else self.ema_params


def make_optimizer(
    learning_rate: float, num_steps: int, warmup_steps: int = 0, gradient_clip: float = 0.0, cosine: bool = True
) -> optax.GradientTransformation:
    """Adam behind a clip by the global norm (0: none), linear warm-up, then cosine to 0 at `num_steps` or constant."""
    warmup_steps = min(warmup_steps, max(num_steps - 1, 0))

    def schedule(count):
        # The first step already moves: its rate is learning_rate / warmup_steps, not 0.
        rate = jnp.minimum(1.0, (count + 1) / warmup_steps) if warmup_steps else jnp.ones(())
        if cosine:
            progress = jnp.clip((count - warmup_steps) / max(num_steps - warmup_steps, 1), 0.0, 1.0)
            rate = rate * 0.5 * (1.0 + jnp.cos(math.pi * progress))
        return learning_rate * rate

    clip = optax.clip_by_global_norm(gradient_clip) if gradient_clip > 0 else optax.identity()
    return optax.chain(clip, optax.adam(schedule))


def create(params, optimizer: optax.GradientTransformation, ema_decay: float = 0.0) -> TrainState:
    """A state at step 0; `ema_decay` 0 keeps no moving average."""
    ema_params = jax.tree.map(jnp.array, params) if ema_decay > 0 else None  # a copy: the step donates both
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params), ema_params)


def count_params(tree) -> int:
    """How many numbers a tree of arrays holds."""
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


def parameter_table(params, frozen=None) -> str:
    """Modules and their parts with the number of arrays, of parameters and of megabytes, as lines of text."""
    rows = []
    for module, tree in params.items():
        parts = tree.get("params", tree) if isinstance(tree, dict) else {}
        rows.append((module, tree))
        rows += [(f"  {name}", part) for name, part in parts.items()]
    if frozen:
        rows.append(("frozen", frozen))
    cells = [("module", "arrays", "parameters", "MB")]
    for name, tree in rows:
        leaves = jax.tree.leaves(tree)
        size = sum(np.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves) / 1e6
        cells.append((name, str(len(leaves)), f"{count_params(tree):,}", f"{size:.2f}"))
    widths = [max(len(row[column]) for row in cells) for column in range(4)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in cells
    )


def _listed_losses(task) -> list[tuple[tuple[str, ...], Callable]]:
    losses = [((who,) if isinstance(who, str) else tuple(who), loss) for who, loss in task.losses().items()]
    named = {module for modules, _ in losses for module in modules}
    if named != set(task.modules):
        raise ValueError(f"the modules are {sorted(task.modules)}, but the losses are filed under {sorted(named)}")
    return losses


def _total_name(modules: tuple[str, ...], losses: list) -> str:
    """What the total of a loss is called among the metrics."""
    return "loss" if len(losses) == 1 else "+".join(modules) + "/loss"


def _save_convolutions(primitive, *_, **__) -> bool:
    return primitive.name in ("conv_general_dilated", "dot_general")


def _gradients(losses: list, remat: bool) -> Callable:
    """Builds `(params, frozen, batch, step_key) -> (gradients, metrics)` of a batch; `remat` as in make_train_step."""

    def gradients_of(params, frozen, batch, step_key):
        gradients = jax.tree.map(jnp.zeros_like, params)
        metrics = {}
        for index, (modules, loss_fn) in enumerate(losses):
            rng = jax.random.fold_in(step_key, index)

            def own_loss(own, loss_fn=loss_fn, rng=rng):
                return loss_fn({**params, **own}, frozen, batch, rng)

            if remat:
                own_loss = jax.checkpoint(own_loss, policy=_save_convolutions)
            own = {module: params[module] for module in modules}
            (total, terms), own_gradients = jax.value_and_grad(own_loss, has_aux=True)(own)
            for module in modules:
                gradients[module] = jax.tree.map(jnp.add, gradients[module], own_gradients[module])
            named = {_total_name(modules, losses): total, **terms}
            if clash := (named.keys() & metrics.keys()) | (terms.keys() & {"loss", "gradient_norm", "finite"}):
                raise ValueError(f"two terms have one name: {sorted(clash)}")
            metrics.update(named)
        return gradients, {name: jnp.asarray(value, jnp.float32).mean() for name, value in metrics.items()}

    return gradients_of


def _in_parts(gradients_of: Callable, accumulate: int) -> Callable:
    """`gradients_of` for a batch worked off in `accumulate` parts, one after the other: the means over them."""

    def mean_of_parts(params, frozen, batch, step_key):
        # Every accumulate-th row: a part lies on the devices as the whole batch does, nothing is sent around.
        parts = jax.tree.map(lambda a: jnp.moveaxis(a.reshape(-1, accumulate, *a.shape[1:]), 1, 0), batch)

        def body(sums, given):
            index, part = given
            new = gradients_of(params, frozen, part, jax.random.fold_in(step_key, index))
            return jax.tree.map(jnp.add, sums, new), None

        first = jax.tree.map(lambda a: a[0], parts)
        shapes = jax.eval_shape(gradients_of, params, frozen, first, step_key)
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        # XLA's CPU convolutions are 7-10 times slower inside a loop.
        unroll = accumulate if jax.default_backend() == "cpu" else 1
        sums, _ = jax.lax.scan(body, zeros, (jnp.arange(accumulate), parts), unroll=unroll)
        return jax.tree.map(lambda a: a / accumulate, sums)

    return mean_of_parts


def _spread_out(gradients_of: Callable, mesh: Mesh) -> Callable:
    """`gradients_of` with whole parameters gathered before it, and gradients spread as the state is behind it."""

    def spread(params, frozen, batch, step_key):
        params = jax.lax.with_sharding_constraint(params, sharding.replicated(mesh))
        gradients, metrics = gradients_of(params, frozen, batch, step_key)
        # In two steps: asked for parts at once, XLA splits the backward convolutions by channels and sends all
        # activations around.
        gradients = jax.lax.with_sharding_constraint(gradients, sharding.replicated(mesh))
        return jax.lax.with_sharding_constraint(gradients, sharding.state_shardings(gradients, mesh)), metrics

    return spread


def _with_norms(metrics: dict, gradients: dict, healthy) -> tuple[dict, jax.Array]:
    """The metrics with the norms of the gradients, and whether all of it is finite, as it was before."""
    metrics["gradient_norm"] = optax.global_norm(gradients)
    if len(gradients) > 1:
        metrics.update({f"gradient_norm/{who}": optax.global_norm(tree) for who, tree in gradients.items()})
    finite = jnp.isfinite(jnp.stack(list(metrics.values()))).all() & (healthy > 0)
    metrics["finite"] = finite.astype(jnp.float32)
    return metrics, finite


def _updated(state: TrainState, gradients, optimizer, ema_decay: float, learning_rate_scale) -> TrainState:
    """The state after a step."""
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    updates = jax.tree.map(lambda update: update * learning_rate_scale, updates)
    params = optax.apply_updates(state.params, updates)
    ema_params = state.ema_params
    if ema_params is not None:
        # A short memory at first, so that the untrained parameters are soon forgotten.
        decay = jnp.minimum(ema_decay, (1.0 + state.step) / (10.0 + state.step))
        ema_params = jax.tree.map(lambda old, new: old + (1.0 - decay) * (new - old), ema_params, params)
    return TrainState(state.step + 1, params, opt_state, ema_params)


def make_train_step(
    task,
    optimizer: optax.GradientTransformation,
    ema_decay: float = 0.0,
    *,
    accumulate: int = 1,
    remat: bool = False,
    skip_nan: bool = False,
    mesh: Mesh | None = None,
) -> Callable:
    """Builds the pure step `(state, frozen, batch, seed_key, *, learning_rate_scale=1, healthy=1) -> (state, metrics)`.

    All gradients are taken at the state's parameters, then applied at once. Randomness comes from
    `fold_in(seed_key, state.step)`. `metrics` holds the total (`loss`, or `MODULES/loss` if there are several losses),
    every term by its name, `gradient_norm` (before clipping; a module's own as `gradient_norm/MODULE` if there are
    several) and `finite`: 1.0 while all of these are finite.

    A step that is not finite changes nothing: the state stays as it was before it (with `skip_nan` its number still
    counts). Hand the last `finite` on as `healthy` and the steps after it change nothing either, so that the state
    can be looked at although steps were already under way.

    Args:
      task: a `Task`: its `losses` and `modules` count here.
      optimizer: what makes updates of gradients.
      ema_decay: of the moving average, where the state keeps one.
      accumulate: the batch is worked off in so many parts, one after the other, and the gradient is their mean.
      remat: keep only the results of convolutions and matrix products for the backward pass, compute the rest again.
      skip_nan: see above.
      mesh: with an axis `fsdp` above 1, parameters are gathered for the losses and gradients spread again.

    Returns: the step, to be compiled. Raises ValueError where losses and modules do not fit.
    """
    gradients_of = _gradients(_listed_losses(task), remat)
    if accumulate > 1:
        gradients_of = _in_parts(gradients_of, accumulate)
    if mesh is not None and mesh.shape["fsdp"] > 1:
        gradients_of = _spread_out(gradients_of, mesh)

    def step(state: TrainState, frozen, batch, seed_key, *, learning_rate_scale=1.0, healthy=1.0):
        step_key = jax.random.fold_in(seed_key, state.step)
        gradients, metrics = gradients_of(state.params, frozen, batch, step_key)
        metrics, finite = _with_norms(metrics, gradients, healthy)
        new = _updated(state, gradients, optimizer, ema_decay, learning_rate_scale)
        kept = jax.tree.map(lambda yes, no: jnp.where(finite, yes, no), new, state)
        return (kept.replace(step=new.step) if skip_nan else kept), metrics

    return step


def make_evaluation(task) -> Callable:
    """Builds `(params, frozen, batch, key) -> metrics`: the totals and terms of all losses, without gradients."""
    losses = _listed_losses(task)

    def evaluate(params, frozen, batch, key):
        metrics = {}
        for index, (modules, loss_fn) in enumerate(losses):
            total, terms = loss_fn(params, frozen, batch, jax.random.fold_in(key, index))
            metrics |= {_total_name(modules, losses): total, **terms}
        return {name: jnp.asarray(value, jnp.float32).mean() for name, value in metrics.items()}

    return evaluate


def make_live_steps(step: Callable, count: int, rows: NamedSharding, skip_nan: bool = False) -> Callable:
    """Builds `count` steps in one program; for accelerators only: XLA's CPU convolutions are 7-10 times slower inside.

    Args:
      step: as from `make_train_step`.
      count: of steps.
      rows: how a batch is spread.
      skip_nan: as in `make_train_step`.

    Returns: a step that takes, in place of a batch, what makes the batch of a position on the device (a pytree, see
    `jax.tree_util.Partial`) and the first position; its metrics are [count].
    """

    def steps(state, frozen, batch_at, position, seed_key, *, learning_rate_scale=1.0, healthy=1.0):
        def body(carry, offset):
            state, healthy = carry
            batch = jax.lax.with_sharding_constraint(batch_at(position + offset), rows)
            scale = learning_rate_scale
            state, metrics = step(state, frozen, batch, seed_key, learning_rate_scale=scale, healthy=healthy)
            return (state, healthy if skip_nan else metrics["finite"]), metrics

        (state, _), metrics = jax.lax.scan(body, (state, jnp.float32(healthy)), jnp.arange(count))
        return state, metrics

    return steps


def not_finite_terms(metrics: dict[str, float]) -> list[str]:
    """Names of the terms that are not finite, the most telling first: single terms, then totals, then gradients."""
    bad = [name for name, value in metrics.items() if name != "finite" and not math.isfinite(value)]

    def rank(name):
        return 2 if name.startswith("gradient_norm") else 1 if name == "loss" or name.endswith("/loss") else 0

    best = min(map(rank, bad), default=0)
    return [name for name in bad if rank(name) == best]
