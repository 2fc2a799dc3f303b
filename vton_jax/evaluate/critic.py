"""Training a critic (`models/critic_cnn.py`), and how often it is fooled: a stand-in for the people of a user study.

One critic a level of detail tells the results of all arms from real frames. It learns from real frames and from results
of every arm equally often, half and half, so that its threshold of one half favours neither, and the arms are compared
by the same discriminator. A critic for each arm would be another one each time: a rate could be higher because an arm's
own had learnt worse.
Of every example it sees the real frame and a result, the same person in the same clothes: what is shown tells nothing.

Conventions: pictures are uint8 [N, H, W, 3]; logits [N] are above 0 for what is taken for real; `kinds` are 'real' and
arms.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vton_jax.core import geometry, programs
from vton_jax.core.batching import in_batches
from vton_jax.core.framing import to_float
from vton_jax.evaluate import metrics
from vton_jax.media import visualize
from vton_jax.models import critic_cnn

LEARNING_RATE = 3e-3
_SHOWN = 5  # pictures at either end of the sheet
STEPS, BATCH = 250, 32  # BATCH examples a step: as many real frames, and as many results
_SEEN = 64  # pictures at once


@functools.cache
def _programs(network: critic_cnn.CriticCNN, steps: int):
    """(init, step, discriminate), compiled; `step` takes and returns (params, optimizer state)."""
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

    discriminate = lambda params, images: network.apply(params, to_float(images))  # noqa: E731
    compiled = jax.jit(step, donate_argnums=0, compiler_options=programs.compiler_options())
    return jax.jit(init), compiled, jax.jit(discriminate)


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
    """Trains a critic of one level of detail. Each step draws examples and for each an arm, half of them mirrored.

    Args: pictures: uint8 [N, H, W, 3] of each kind, of the same N examples: 'real', and one or more arms. seed: decides
    all that is drawn. Returns: the function pictures [N, H, W, 3] -> logits [N].
    """
    init, step, discriminate = _programs(network or critic_cnn.CriticCNN(), steps)
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
        return in_batches(lambda part: discriminate(params, part), images, _SEEN, full=True)

    return logits


def logits_of(
    pictures: dict[str, np.ndarray], held_out: np.ndarray, seeds: range, steps: int = STEPS
) -> dict[str, np.ndarray]:
    """Trains a critic for each seed, and tries it.

    Args: pictures: of one level of detail, as in `train`. held_out: bool [N], on which examples the critics are tried;
    from the others they learn. Returns: logits [seeds, held out] of each kind.
    """
    learnt = {kind: images[~held_out] for kind, images in pictures.items()}
    logits = {kind: [] for kind in pictures}
    for seed in seeds:
        discriminate = train(learnt, seed, steps=steps)
        for kind, images in pictures.items():
            logits[kind].append(discriminate(images[held_out]))
    return {kind: np.stack(values) for kind, values in logits.items()}


def rates(level: str, logits: dict[str, np.ndarray]) -> dict[str, float]:
    """The numbers of one level from logits [seeds, people] of each kind; intervals are over people."""
    taken = {kind: (values > 0).astype(np.float64) for kind, values in logits.items()}
    results = {}

    def add(name, values):  # [seeds, people]
        found = metrics.bootstrap_interval(values.mean(0))
        results.update(zip((name, f"{name}.low", f"{name}.high"), found, strict=True))

    add(f"critic.real_accuracy_{level}", taken["real"])
    arms = [kind for kind in taken if kind != "real"]
    for arm in arms:
        add(f"critic.{arm}.fooling_{level}", taken[arm])
        results[f"critic.{arm}.fooling_{level}.over_seeds"] = float(taken[arm].mean(1).std())
        # The talk asked which of two is real: there 0.5 is the most.
        add(f"critic.{arm}.preferred_{level}", (logits[arm] > logits["real"]).astype(np.float64))
    for arm in arms:
        if arm != "joint" and "joint" in arms:
            add(f"critic.joint_minus_{arm}_{level}", taken["joint"] - taken[arm])
    return results


def sheet(pictures: dict[str, np.ndarray], logits: dict[str, np.ndarray]) -> np.ndarray:
    """Of each kind the held-out pictures that the critics took for real most and least surely, on average."""
    rows = []
    for kind, images in pictures.items():
        order = np.argsort(-logits[kind].mean(0), kind="stable")
        rows.append([images[i] for i in (*order[:_SHOWN], *order[-_SHOWN:])])
    titles = [f"real {n}" for n in range(1, _SHOWN + 1)] + [f"unreal {n}" for n in range(_SHOWN, 0, -1)]
    return visualize.contact_sheet(rows, list(pictures), titles)
