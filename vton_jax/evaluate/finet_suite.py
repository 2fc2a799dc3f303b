"""The suite `finet`: garments of drawn people filled in, diverse and compatible, and given garments put on.

People, their outfits and their garments are of the catalogue's test split, with true layouts and joints, at the
networks' size. What the names of the results mean: docs/evaluation.md. Imports no JAX.
"""

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np

from vton_jax.core.options import option
from vton_jax.evaluate import protocol, report
from vton_jax.inputs import splits
from vton_jax.systems.finet.variants import VARIANTS

JUDGED = ("top", "bottom")
_SHOWN = 8  # cases on the sheet
# Levels of detail as in the suite `critic`: pixels in a row that become one. Critics learn from all but every fourth.
_LEVELS, _CRITICS, _HELD_OUT = {"1s": 2, "2s": 1}, 3, 4
_PRIORS = {"with": True, "without": False}


class FinetSuite(protocol.Suite):
    """Whether fillings keep the catalogue's rules, how much they differ, and how near a given garment comes."""

    name = "finet"

    @dataclasses.dataclass(frozen=True)
    class Options(protocol.PerceptualOptions):
        data: str | None = option(None, "Cached examples of --kind=outfits, from which the judge of rules learns.")
        weights: str | None = option(None, "Folder of other weights than the released ones.")
        variant: str = option("full", f"Of {', '.join(VARIANTS)}.")
        num_cases: int = option(40, "People whose top, and whose bottom, is filled in.", lower_bound=2)
        num_samples: int = option(5, "Fillings of each.", lower_bound=2)
        free: float = option(0.0, "How often a choice of the people's outfits follows no rule.")
        critic_people: int = option(
            160, "People with a filling each that critics see; 0 leaves them out.", lower_bound=0
        )
        seed: int = option(0, "Of the samples.")

    def __init__(self, options):
        protocol.require_data(type(self), options, "of python -m vton_jax.cache_examples --kind=outfits")
        super().__init__(options)

    def run(self):
        from vton_jax.evaluate import finet_cases, perceptual
        from vton_jax.systems.finet.system import Finet

        options = self.options
        system = Finet(options.weights, options.variant)
        distances = perceptual.open_distances(options.perceptual)
        judges, accuracy = finet_cases.judges(options.data, system.size, JUDGED)
        cases = finet_cases.draw(options.num_cases, options.free)
        yield "num_cases", float(len(cases) * len(JUDGED))
        yield from accuracy.items()
        yield from finet_cases.true_rates(judges, cases, options.seed).items()
        found = finet_cases.fill_all(system, cases, JUDGED, options)
        read = finet_cases.as_read(system.reader, cases, found)
        yield from self._rules(judges, cases, read)
        yield from self._style_scores(judges, cases, read)
        for prior, values in finet_cases.told_apart(cases, read, options.seed).items():
            yield from _with_interval(f"finet.{options.variant}.told_from_true.{prior}", values)
        yield from self._diversity(found, distances)
        yield from self._transfer(system, distances)
        if options.critic_people:
            yield from self._fooling(system)
        self.pictures["Filled in: with compatibility, then without"] = finet_cases.sheet(found, cases[:_SHOWN])
        self.texts["protocol"] = {
            "suite": "finet: regions of drawn people filled in",
            "split_hash": splits.split_hash(f"{case['number']}" for case in cases),
            "people": f"catalogue, test split, outfits of one style, {options.free:g} of whose choices are free; true "
            f"layouts and joints; top and bottom, {options.num_samples} samples each, seed {options.seed}",
            "rules": "kept where a classifier of styles, taught by drawn outfits of the train split, finds the garment "
            "likelier in the outfit's style than in any; what is garment in a filling ReaderCNN reads in its picture",
            "without": "z from N(0, I), the same networks",
            "told from true": "a network of the same size, taught by three people in four whether an outfit's top and "
            "bottom are both true or one is filled in; 0.5: it cannot tell",
            "style score": "as the inception score, over the judges' styles in place of Inception's classes",
            "critic": f"CriticCNN, of this variant alone, {options.critic_people} people, every {_HELD_OUT}th "
            f"held out, {_CRITICS} seeds; 1s at half the networks' size, 2s at all of it",
            "intervals": "95%, bootstrap over people",
            **distances.protocol,
        }
        self.texts["about"] = {"variant": options.variant, "weights": options.weights or "released"}

    def _rules(self, judges, cases, found) -> Iterator[tuple[str, float]]:
        from vton_jax.evaluate import finet_cases

        rates = {}
        for prior in _PRIORS:
            kept = [finet_cases.kept(judges, case, found[prior, region][number], region)
                    for region in JUDGED for number, case in enumerate(cases)]  # fmt: skip
            rates[prior] = np.reshape([np.mean(one) for one in kept], (len(JUDGED), -1))
            yield from _with_interval(f"finet.{self.options.variant}.rule_keeping.{prior}", rates[prior].mean(0))
        gain = rates["with"] - rates["without"]
        for region, values in zip(JUDGED, gain, strict=True):
            yield from _with_interval(self._key(f"rule_keeping_gain.{region}"), values)
        yield from _with_interval(self._key("rule_keeping_gain"), gain.mean(0))

    def _diversity(self, found, distances) -> Iterator[tuple[str, float]]:
        if "lpips" not in distances.protocol:
            return
        means = {}
        for prior in _PRIORS:
            values = []
            for region in JUDGED:
                for samples in found[prior, region]:
                    pairs = list(itertools.combinations(samples.frames, 2))
                    a, b = (np.stack(side) for side in zip(*pairs, strict=True))
                    values.append(distances(a, b)["lpips"].mean())
            means[prior] = np.reshape(values, (len(JUDGED), -1)).mean(0)
            yield from _with_interval(f"finet.{self.options.variant}.diversity.{prior}", means[prior])
        yield self._key("diversity_kept"), float(means["with"].mean() / means["without"].mean())

    def _transfer(self, system, distances) -> Iterator[tuple[str, float]]:
        from vton_jax.evaluate import finet_cases

        if "lpips" not in distances.protocol:
            return
        scores, rows = finet_cases.transfer(system, distances, self.options)
        for name, values in scores.items():
            yield from _with_interval(self._key(f"transfer.{name}"), values)
        yield from _with_interval(
            self._key("transfer.lpips_below_best_sample"), scores["best_sample"] - scores["lpips"]
        )
        self.pictures["Given garments"] = finet_cases.transfer_sheet(rows)

    def _style_scores(self, judges, cases, found) -> Iterator[tuple[str, float]]:
        """How sure the judges are of fillings' styles, and how evenly these spread: 1 to the number of styles."""
        from vton_jax.evaluate import finet_cases

        sources = {prior: {region: found[prior, region] for region in JUDGED} for prior in _PRIORS}
        for prior, samples in sources.items():
            surprise = finet_cases.surprise(judges, cases, samples)
            name = f"finet.{self.options.variant}.style_score.{prior}"
            yield from ((key, float(np.exp(value))) for key, value in _with_interval(name, surprise))

    def _fooling(self, system) -> Iterator[tuple[str, float]]:
        from vton_jax.evaluate import critic, finet_cases

        options, variant = self.options, self.options.variant
        pictures = finet_cases.critic_pictures(system, JUDGED, options, variant)
        held_out = np.arange(options.critic_people) % _HELD_OUT == _HELD_OUT - 1
        for level, factor in _LEVELS.items():
            seen = {kind: critic.reduce_detail(images, factor) for kind, images in pictures.items()}
            logits = critic.logits_of(seen, held_out, range(options.seed, options.seed + _CRITICS))
            for name, value in critic.rates(level, logits).items():
                name = name.removeprefix("critic.").removeprefix(f"{variant}.")
                yield f"finet.{variant}.{name}", value

    def _key(self, name: str) -> str:
        """The released variant's keys are the suite's."""
        return f"finet.{name}" if self.options.variant == "full" else f"finet.{self.options.variant}.{name}"

    def sections(self, results):
        names = [name for name in results if name.startswith("finet.") and not name.endswith((".low", ".high"))]
        rows = [[name, _shown(results, name)] for name in names]
        return ["<h2>FiNet</h2>", report.html_table(["", "mean (95%)"], rows)]


def _with_interval(name: str, values: np.ndarray) -> Iterator[tuple[str, float]]:
    from vton_jax.evaluate import metrics

    yield from zip((name, f"{name}.low", f"{name}.high"), metrics.bootstrap_interval(np.asarray(values)), strict=True)


def _shown(results: dict[str, float], name: str) -> str:
    text = f"{results[name]:.3f}"
    if f"{name}.low" in results:
        text += f" ({results[f'{name}.low']:.3f} to {results[f'{name}.high']:.3f})"
    return text
