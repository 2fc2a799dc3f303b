"""The suite `critic`: Table 1 of the talk, with a critic (`critic.py`) standing in for people, on the examples of
`critic_examples.py`. What the names of the results mean: docs/evaluation.md. Imports no JAX.
"""

import dataclasses
import hashlib

from vton_jax.core.options import option
from vton_jax.evaluate import protocol, report
from vton_jax.inputs import splits
from vton_jax.reading import digest_of
from vton_jax.systems.options import ARM_NAMES

LEVELS = {"1s": 4, "2s": 2, "5s": 1}  # the talk's seconds, and how many pixels in a row become one
SEEDS = 3


class CriticSuite(protocol.Suite):
    """A stand-in for the talk's user study, no study of people.

    Args: steps: of each critic, by default `critic.STEPS`.
    """

    name = "critic"

    @dataclasses.dataclass(frozen=True)
    class Options(protocol.SuiteOptions):
        data: str | None = option(None, "Cached examples of python -m vton_jax.cache_examples --kind=layouts.")
        num_examples: int = option(1120, "At least so many examples, in whole files.", lower_bound=1)
        seed: int = option(0, "Seed of the first critic.")

    def __init__(self, options, steps: int | None = None):
        protocol.require_data(type(self), options, "of python -m vton_jax.cache_examples --kind=layouts")
        protocol.require_lab126(type(self), options)
        super().__init__(options)
        self.steps = steps

    def run(self):
        from vton_jax.evaluate import critic, critic_examples, dressing

        options, steps = self.options, self.steps or critic.STEPS
        self.texts["about"] = self._weights()
        examples, held_out = critic_examples.read_examples(options.data, options.num_examples)
        pictures = critic_examples.dress_all(dressing.open_arms(options), examples)
        yield "num_examples", len(held_out)
        yield "num_held_out", int(held_out.sum())
        sizes = []
        for level, factor in LEVELS.items():
            seen = {kind: critic.reduce_detail(images, factor) for kind, images in pictures.items()}
            size = "x".join(map(str, seen["real"].shape[1:3]))
            report.say(f"{SEEDS} critics at {size}, standing in for {level[:-1]} s")
            logits = critic.logits_of(seen, held_out, range(options.seed, options.seed + SEEDS), steps)
            yield from critic.rates(level, logits).items()
            unseen = {kind: images[held_out] for kind, images in seen.items()}
            self.pictures[f"Taken for real most and least surely at {size}"] = critic.sheet(unseen, logits)
            sizes.append(f"{size} for {level[:-1]} s")
        self.texts["protocol"] = {
            "suite": "critic: a critic fooling rate, a stand-in for the talk's user study, no study of people",
            "split_hash": splits.split_hash(hashlib.sha256(image).hexdigest() for image in pictures["real"][held_out]),
            "people": f"{int(held_out.sum())} held out, every {critic_examples.HELD_OUT}th file; "
            f"{int((~held_out).sum())} learnt from",
            "detail": ", ".join(sizes) + "; means of blocks of pixels",
            "critic": f"CriticCNN, one a level for all arms, {steps} steps of {critic.BATCH} real frames and as many "
            f"results; seeds {options.seed} to {options.seed + SEEDS - 1}; real above 0.5; intervals: bootstrap over "
            "people",
            "results": "another person's pose image; the layout that LatentPriorCNN expects; before `kept_parts`",
        }

    def _weights(self) -> dict[str, str]:
        from vton_jax.models import weights

        names = [f"triple_guided_cnn_{arm}" for arm in ("none", "pre", "joint")]
        paths = [weights.path_of(name, self.options.weights) for name in [*names, "re_map_cnn", "re_map_cnn_joint"]]
        # The last one is there where `joint` has a ReMapCNN of its own.
        return {path.stem: digest_of(path) for path in paths if path.exists()}

    def sections(self, results):
        rows = [[arm, *(_rate(results, f"critic.{arm}.fooling_{level}") for level in LEVELS)] for arm in ARM_NAMES]
        real = (_rate(results, f"critic.real_accuracy_{level}") for level in LEVELS)
        titles = ["", *(f"{level[:-1]} s" for level in LEVELS)]
        table = report.html_table(titles, [*rows, ["real frames taken for real", *real]])
        return ["<h2>Critic fooling rate, a stand-in for the talk's user study</h2>", table]


def _rate(results: dict[str, float], name: str) -> str:
    """A rate with its interval, in percent."""
    return f"{results[name]:.1%} ({results[f'{name}.low']:.1%} to {results[f'{name}.high']:.1%})"
