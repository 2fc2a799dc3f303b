"""What tasks share that learn against a discriminator as well: both players' losses.

Conventions: pictures [B, H, W, 3] in [0, 1]; `params` are the discriminator's.
"""

from collections.abc import Callable

import jax

from vton_jax.models import losses
from vton_jax.models.patch_discriminator import PatchDiscriminator
from vton_jax.tasks.modules import total

PLAYER = "discriminator"
_MATCHING = 10.0  # the weight of feature matching beside the adversarial term's (T.-C. Wang and others, equation 4)


def init(key: jax.Array, image: jax.Array) -> dict:
    """The discriminator's parameters to begin with."""
    return jax.jit(PatchDiscriminator().init)(key, image)


def fooled(params: dict, image: jax.Array, truth: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """What the painter of `image` pays, and {'adversarial', 'matching'}; the discriminator learns nothing from it."""
    judge = jax.lax.stop_gradient(params)
    score, features = PatchDiscriminator().apply(judge, image)
    _, true = PatchDiscriminator().apply(judge, truth)
    matching = losses.perceptual(features, true, [1 / len(true)] * len(true))
    terms = {"adversarial": losses.least_squares_adversarial(score, real=True), "matching": matching}
    return total(terms, {"adversarial": 1.0, "matching": _MATCHING}), terms


def judge_of(params: dict) -> Callable[[jax.Array], jax.Array]:
    """PatchDiscriminator as a function of pictures alone, for `told_apart`."""
    return lambda image: PatchDiscriminator().apply(params, image)[0]


def told_apart(judge: Callable, image: jax.Array, truth: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """What the discriminator `judge` (pictures -> scores) pays, and {'discriminator_real', 'discriminator_fake'}; the
    painter of `image` learns nothing from it.
    """
    terms = {
        "discriminator_real": losses.least_squares_adversarial(judge(truth), real=True),
        "discriminator_fake": losses.least_squares_adversarial(judge(jax.lax.stop_gradient(image)), real=False),
    }
    return sum(terms.values()), terms
