"""Who says whether a garment goes with an outfit: a small classifier of styles, taught by drawn outfits.

Outfits of the catalogue are of one of `styles.STYLES`, all equally often. By Bayes a garment x keeps the rules
of an outfit of style s where it is likelier there than anywhere: p(x | s) > p(x), that is p(s | x) > 1 / number of
styles. p(s | x) is learned from what a picture shows of a garment by the rules: its colours beside the light's, its
pattern's contrast, and how far it reaches along the limbs. The true outfits' rate and the rate of garments exchanged at
random say how well the judge sees the rules.

Conventions: pictures float [h, w, 3] in [0, 1], classes [h, w] of `layout.inpainting.CLASSES`, joints of the frame.
"""

import dataclasses
import functools
import itertools

import jax
import numpy as np
import optax

from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.layout import inpainting

_LIMBS = {
    "top": (("shoulder", "elbow"), ("elbow", "wrist")),
    "bottom": (("hip", "knee"), ("knee", "ankle")),
    "shoes": (),
    "hat": (),
}
_ALONG = (0.25, 0.5, 0.75, 1.0)  # places on a bone where the garment is looked for
_NEAR = 0.02  # of the height, around such a place
FOLDS = 4  # of `told_apart`
_HIDDEN, _STEPS, _BATCH, _RATE, _DECAY = 64, 1500, 128, 3e-3, 1e-2


def features(image: np.ndarray, classes: np.ndarray, points: np.ndarray, visible: np.ndarray, region: str):
    """What a picture shows of a garment, float32 [F]; None where it is not worn."""
    worn = classes == inpainting.CLASSES.index(region)
    if worn.sum() < inpainting.LEAST_PIXELS:
        return None
    colours = image[worn]
    spread = np.percentile(colours.mean(1), (10, 50, 90))
    median = np.median(colours, 0)
    hue = np.append(median - median.mean(), median.max() - median.min())
    ground = np.median(image[classes == 0], 0) if (classes == 0).any() else np.full(3, 0.5)
    head = image[classes == inpainting.HEAD]
    light = head.mean() if len(head) else 0.5
    person = max(1, (classes > 0).sum())
    parts = [(classes == number).sum() / person for number in range(1, inpainting.NUM_CLASSES)]
    return np.concatenate([median, hue, spread, colours.std(0), ground, [light], parts,
                           _reach(worn, points, visible, region)]).astype(np.float32)  # fmt: skip


def _reach(worn: np.ndarray, points: np.ndarray, visible: np.ndarray, region: str) -> list[float]:
    """How much of each place along the limbs is covered, in the mean of both sides; 0.5 where no side is known."""
    found, near = [], max(1, round(_NEAR * len(worn)))
    for first, second in _LIMBS[region]:
        for along in _ALONG:
            sides = []
            for side in ("left", "right"):
                a, b = JOINTS[f"{side}-{first}"], JOINTS[f"{side}-{second}"]
                if visible[a] and visible[b]:
                    x, y = np.rint(points[a] + along * (points[b] - points[a])).astype(int)
                    patch = worn[max(0, y - near) : y + near + 1, max(0, x - near) : x + near + 1]
                    sides += [patch.mean()] if patch.size else []
            found.append(float(np.mean(sides)) if sides else 0.5)
    return found


@dataclasses.dataclass(frozen=True)
class Judge:
    """Knows how likely each style is by a garment's features."""

    params: list
    mean: np.ndarray
    deviation: np.ndarray

    def styles(self, found: np.ndarray) -> np.ndarray:
        """Probabilities [N, S] by features [N, F]."""
        return np.asarray(_styles(self.params, (found - self.mean) / self.deviation))

    def keeps(self, found: list, style: np.ndarray) -> np.ndarray:
        """Whether garments keep the rules of outfits of a style [N]: bool [N]; what is not worn (None) does not."""
        there = np.array([one is not None for one in found])
        kept = np.zeros(len(found), bool)
        if there.any():
            likely = self.styles(np.stack([one for one in found if one is not None]))
            chosen = np.asarray(style)[there]
            kept[there] = likely[np.arange(len(chosen)), chosen] > 1 / likely.shape[1]
        return kept


def train(found: np.ndarray, style: np.ndarray, num_styles: int, seed: int = 0) -> Judge:
    """A judge from features [N, F] of garments and the styles [N] of their outfits."""
    mean, deviation = found.mean(0), found.std(0) + 1e-3
    x, generator = (found - mean) / deviation, np.random.default_rng(seed)
    sizes = (x.shape[1], _HIDDEN, _HIDDEN, num_styles)
    params = [
        (generator.normal(0, np.sqrt(2 / a), (a, b)).astype(np.float32), np.zeros(b, np.float32))
        for a, b in itertools.pairwise(sizes)
    ]
    optimizer = _optimizer(_STEPS)
    state = jax.jit(optimizer.init)(params)
    for _ in range(_STEPS):
        rows = generator.integers(0, len(x), _BATCH)
        noisy = x[rows] + generator.normal(0, 0.1, (_BATCH, x.shape[1]))
        params, state = _step(optimizer, params, state, noisy.astype(np.float32), style[rows])
    return Judge(jax.device_get(params), mean, deviation)


def told_apart(true: np.ndarray, filled: np.ndarray, folds: int = FOLDS, seed: int = 0) -> np.ndarray:
    """A classifier two-sample test (Lopez-Paz and Oquab, 2017): the accuracy [N] on each person's outfits, true and
    filled counting alike, of a network that has learned from those of all other groups of people, `folds` in all. 0.5:
    it cannot tell.

    Args: true: features of a garment beside those of what else is worn, [N, F]. filled: of fillings, [N, K, F].
    """
    number, samples = np.arange(len(true)), filled.shape[1]
    found = np.zeros(len(true))
    for fold in range(min(folds, len(true))):
        tried = number % folds == fold
        own, others = np.repeat(true[~tried], samples, 0), filled[~tried].reshape(-1, filled.shape[-1])
        kind = np.repeat([1, 0], (len(own), len(others)))
        judge = train(np.concatenate([own, others]), kind, 2, seed)
        for person in np.flatnonzero(tried):
            takes_for_true = judge.styles(np.concatenate([true[person][None], filled[person]]))[:, 1] > 0.5
            found[person] = (takes_for_true[0] + 1 - takes_for_true[1:].mean()) / 2
    return found


@functools.cache
def _optimizer(steps: int) -> optax.GradientTransformation:
    """The same one each time: another would be compiled anew."""
    return optax.adamw(optax.cosine_decay_schedule(_RATE, steps), weight_decay=_DECAY)


def _logits(params, x):
    for number, (kernel, bias) in enumerate(params):
        x = x @ kernel + bias
        x = jax.nn.silu(x) if number < len(params) - 1 else x
    return x


@jax.jit
def _styles(params, x):
    return jax.nn.softmax(_logits(params, x))


@functools.partial(jax.jit, static_argnums=0)
def _step(optimizer, params, state, x, style):
    def loss(params):
        return optax.softmax_cross_entropy_with_integer_labels(_logits(params, x), style).mean()

    updates, state = optimizer.update(jax.grad(loss)(params), state, params)
    return optax.apply_updates(params, updates), state
