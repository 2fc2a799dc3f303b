"""Training a critic (`models/critic_cnn.py`), and how often it is fooled: a stand-in for the people of a user study.

One critic a level of detail judges all arms. It learns from real frames and from results of every arm in equal shares,
half and half, so that its threshold of one half favours neither, and the arms are compared by the same judge. A critic
for each arm would be another judge each time: a rate could be higher because an arm's own judge had learnt worse.
Of every example it sees the real frame and a result, the same person in the same clothes: what is shown tells nothing.

Alphabet: pictures are uint8 [N, H, W, 3], logits [N], above 0 for what is taken for real; `kinds` are 'real' and arms.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vton_jax.core import geometry
from vton_jax.core.batching import in_batches
from vton_jax.core.framing import to_float
from vton_jax.models import critic_cnn
from vton_jax.training import compiler

LEARNING_RATE = 3e-3
STEPS, BATCH = 250, 32  # BATCH examples a step: as many real frames, and as many results
_SEEN = 64  # pictures that are judged at once


@functools.cache
def _programs(network: critic_cnn.CriticCNN, steps: int):
    """(init, step, judge), compiled; `step` takes and returns (params, optimizer state)."""
    optimizer = optax.adamw(optax.warmup_cosine_decay_schedule(0, LEARNING_RATE, steps // 10, steps), weight_decay=1e-3)

    def init(key, images):
        params = network.init(key, images.astype(jnp.float32))
        return params, optimizer.init(params)

    def loss_fn(params, images, real):
        return critic_cnn.loss(network.apply(params, to_float(images)), real)["cross_entropy"]

    def step(state, images, real):
        params, optimizer_state = state
        value, gradients = jax.value_and_grad(loss_fn)(params, images, real)
        updates, optimizer_state = optimizer.update(gradients, optimizer_state, params)
        return (optax.apply_updates(params, updates), optimizer_state), value

    judge = lambda params, images: network.apply(params, to_float(images))  # noqa: E731
    compiled = jax.jit(step, donate_argnums=0, compiler_options=compiler.training_options())
    return jax.jit(init), compiled, jax.jit(judge)


def reduce_detail(pictures: np.ndarray, factor: int) -> np.ndarray:
    """Pictures uint8 [N, H, W, 3] whose pixels are the means of factor x factor pixels, uint8 [N, H/f, W/f, 3]."""
    if factor == 1:
        return pictures
    return np.concatenate(
        [
            np.round(np.asarray(geometry.block_means(pictures[i : i + 32].astype(np.float32), factor))).astype(np.uint8)
            for i in range(0, len(pictures), 32)
        ]
    )


def train(
    pictures: dict[str, np.ndarray],
    seed: int,
    network: critic_cnn.CriticCNN | None = None,
    steps: int = STEPS,
    batch: int = BATCH,
):
    """A critic of one level of detail: the function pictures [N, H, W, 3] -> logits [N].

    Args: pictures: uint8 [N, H, W, 3] of each kind, of the same N examples: 'real', and one or more arms. Each step
    draws examples and for each an arm, half of them mirrored; seed decides all that is drawn.
    """
    init, step, judge = _programs(network or critic_cnn.CriticCNN(), steps)
    arms = [kind for kind in pictures if kind != "real"]
    rng = np.random.default_rng(seed)
    real = np.repeat(np.float32([1, 0]), batch)
    state = init(jax.random.PRNGKey(seed), pictures["real"][:2])
    for _ in range(steps):
        chosen = rng.integers(0, len(pictures["real"]), batch)
        drawn = rng.permutation(np.arange(batch) % len(arms))
        results = np.stack([pictures[arms[a]][i] for a, i in zip(drawn, chosen, strict=True)])
        images = np.stack([pictures["real"][chosen], results])
        images = np.where(rng.random((batch, 1, 1, 1)) < 0.5, images[..., ::-1, :], images)
        state, _ = step(state, images.reshape(-1, *images.shape[2:]), real)
    params = state[0]

    def logits(images: np.ndarray) -> np.ndarray:
        return in_batches(lambda part: judge(params, part), images, _SEEN, full=True)

    return logits
