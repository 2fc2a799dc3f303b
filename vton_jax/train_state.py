"""The state of a training and its pure step.

Alphabet: `params` is {player: tree} for the players of a task; a frozen part is no player, its parameters travel as
the argument `frozen`. `step` counts finished steps. A batch is a dict of arrays with a leading axis B, sharded over
the one mesh axis `data`. A loss is `loss_fn(params, frozen, batch, rng) -> (scalar, {'name': term})` and its gradient
goes to the players it is filed under, to nobody else. Metrics are float32 scalars.
"""

import math
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from vton_jax.errors import UserError


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


def _listed_losses(task) -> list[tuple[tuple[str, ...], Callable]]:
    losses = [((who,) if isinstance(who, str) else tuple(who), loss) for who, loss in task.losses().items()]
    named = {player for players, _ in losses for player in players}
    if named != set(task.players):
        raise ValueError(f"the players are {sorted(task.players)}, but the losses are filed under {sorted(named)}")
    return losses


def make_train_step(task, optimizer: optax.GradientTransformation, ema_decay: float = 0.0) -> Callable:
    """Builds the pure step `(state, frozen, batch, seed_key, learning_rate_scale=1) -> (state, metrics)`.

    All gradients are taken at the state's parameters, then applied at once. Randomness comes from
    `fold_in(seed_key, state.step)`. `metrics` holds the total (`loss`, or `PLAYERS/loss` if there are several losses),
    every term by its name, `gradient_norm` (before clipping; a player's own as `gradient_norm/PLAYER` if there are
    several) and `finite`: 1.0 while all of these are finite.
    """
    losses = _listed_losses(task)

    def step(state: TrainState, frozen, batch, seed_key, learning_rate_scale=1.0):
        step_key = jax.random.fold_in(seed_key, state.step)
        gradients = jax.tree.map(jnp.zeros_like, state.params)
        metrics = {}
        for index, (players, loss_fn) in enumerate(losses):
            rng = jax.random.fold_in(step_key, index)

            def own_loss(own, loss_fn=loss_fn, rng=rng):
                return loss_fn({**state.params, **own}, frozen, batch, rng)

            own = {player: state.params[player] for player in players}
            (total, terms), own_gradients = jax.value_and_grad(own_loss, has_aux=True)(own)
            for player in players:
                gradients[player] = jax.tree.map(jnp.add, gradients[player], own_gradients[player])
            named = {"loss" if len(losses) == 1 else "+".join(players) + "/loss": total, **terms}
            if clash := (named.keys() & metrics.keys()) | (terms.keys() & {"loss", "gradient_norm", "finite"}):
                raise ValueError(f"two terms have one name: {sorted(clash)}")
            metrics.update(named)
        metrics["gradient_norm"] = optax.global_norm(gradients)
        if len(gradients) > 1:
            metrics.update({f"gradient_norm/{who}": optax.global_norm(tree) for who, tree in gradients.items()})
        metrics = {name: jnp.asarray(value, jnp.float32).mean() for name, value in metrics.items()}
        metrics["finite"] = jnp.isfinite(jnp.stack(list(metrics.values()))).all().astype(jnp.float32)

        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        updates = jax.tree.map(lambda update: update * learning_rate_scale, updates)
        params = optax.apply_updates(state.params, updates)
        ema_params = state.ema_params
        if ema_params is not None:
            # A short memory at first, so that the untrained parameters are soon forgotten.
            decay = jnp.minimum(ema_decay, (1.0 + state.step) / (10.0 + state.step))
            ema_params = jax.tree.map(lambda old, new: old + (1.0 - decay) * (new - old), ema_params, params)
        return TrainState(state.step + 1, params, opt_state, ema_params), metrics

    return step


def make_live_steps(step: Callable, batch_at: Callable, count: int, sharding: NamedSharding) -> Callable:
    """`count` steps in one program: `(state, frozen, position, seed_key, scale) -> (state, metrics [count])`.

    `batch_at(position)` draws a batch on the device. For accelerators only: XLA's CPU convolutions are 7-10 times
    slower inside a scan.
    """

    def steps(state, frozen, position, seed_key, learning_rate_scale=1.0):
        def body(state, offset):
            batch = jax.lax.with_sharding_constraint(batch_at(position + offset), sharding)
            return step(state, frozen, batch, seed_key, learning_rate_scale)

        return jax.lax.scan(body, state, jnp.arange(count))

    return steps


def not_finite_terms(metrics: dict[str, float]) -> list[str]:
    """Names of the terms that are not finite, the most telling first: single terms, then totals, then gradients."""
    bad = [name for name, value in metrics.items() if name != "finite" and not math.isfinite(value)]

    def rank(name):
        return 2 if name.startswith("gradient_norm") else 1 if name == "loss" or name.endswith("/loss") else 0

    best = min(map(rank, bad), default=0)
    return [name for name in bad if rank(name) == best]


def make_mesh() -> Mesh:
    """All devices on one axis, `data`."""
    return jax.make_mesh((jax.device_count(),), ("data",), axis_types=(AxisType.Auto,))


def batch_sharding(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec("data"))


def replicate(tree, mesh: Mesh):
    """Copies a tree to all devices of the mesh."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def shard_batch(batch: dict, mesh: Mesh) -> dict:
    """Spreads a process's batch over the mesh. Raises UserError where the devices do not divide it."""
    sharding = batch_sharding(mesh)
    size = len(next(iter(batch.values())))
    if size % mesh.local_mesh.size:
        raise UserError(
            f"A batch of {size} cannot be shared evenly by {mesh.local_mesh.size} devices; "
            f"let --batch_size be a multiple of {mesh.size}."
        )
    if jax.process_count() == 1:
        return jax.device_put(batch, sharding)
    return {name: jax.make_array_from_process_local_data(sharding, np.asarray(array)) for name, array in batch.items()}
