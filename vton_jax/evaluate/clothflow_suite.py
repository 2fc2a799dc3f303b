"""The suite `clothflow`: ClothFlow and its ablation on people of the catalogue who nobody has learned from.

Stage 2 is scored along the true segmentation, as it was trained; stage 1 and the picture from RGB alone. What the names
of the results mean: docs/evaluation.md. Imports no JAX.
"""

import dataclasses

import numpy as np

from vton_jax.core.errors import WrongOption
from vton_jax.core.options import option
from vton_jax.evaluate import protocol
from vton_jax.systems.options import ARM_NAMES

VARIANT_NAMES = ("full", "no_layout", "no_flow", "tps", "no_cascade", "no_style", "dense")
_SHOWN = 10  # cases on the sheet


class ClothFlowSuite(protocol.Suite):
    """Users, garments and poses enter as RGB alone, but for the end-point error along true segmentations."""

    name = "clothflow"

    @dataclasses.dataclass(frozen=True)
    class Options(protocol.PerceptualOptions):
        weights: str | None = option(None, "Folder of other weights than the released ones.")
        num_cases: int = option(48, "Try-on cases, each of another user.", lower_bound=2)
        split: str = option("test", "Whose people and garments: test, or validation to choose by.")
        variants: str = option(
            "trained", "Variants, separated by commas; trained: those whose weights are there; all: an error if not."
        )
        system: str = option(
            "clothflow",
            "Who dresses the people: clothflow, its variants alone; all, the arms of lab126 and FiNet's transfer "
            "besides; or some of lab126, lab126_post and the like, and finet, separated by commas.",
        )
        seed: int = option(0, "Seed of the bootstrap.")

    def run(self):
        from vton_jax.evaluate import clothflow_steps, metrics, perceptual, report
        from vton_jax.systems.clothflow.system import ClothFlow

        options = self.options
        painters = clothflow_steps.open_painters(chosen_variants(options), options.weights)
        others = clothflow_steps.open_others(other_systems(options.system))
        system = ClothFlow(folder=options.weights)
        distances = perceptual.open_distances(options.perceptual)
        report.say(f"drawing {options.num_cases} cases")
        cases = clothflow_steps.draw_cases(options.num_cases, options.split, system.size)
        yield "clothflow.num_cases", options.num_cases

        report.say("flows along true segmentations")
        errors = clothflow_steps.flow_errors(painters, cases)
        report.say("people, garments and poses; layouts and pictures")
        made = clothflow_steps.dress(system, painters, others, cases)
        found = {name: {"epe": values} for name, values in errors.items()}
        for name, values in clothflow_steps.picture_scores(made, distances).items():
            found.setdefault(name, {}).update(values)
        yield "clothflow.left_out", made.left_out
        for name, scores in found.items():
            for score, values in scores.items():
                key = f"clothflow.{name}.{score}"
                each = metrics.bootstrap_interval(values, options.seed)
                yield from zip((key, f"{key}.low", f"{key}.high"), each, strict=True)
        yield from _short_names(found)
        yield from _differences(found, options.seed)
        yield from clothflow_steps.layout_scores(made, options.seed).items()
        self.pictures["ClothFlow"] = clothflow_steps.sheet(made, _SHOWN)
        self.texts["protocol"] = {
            "suite": self.name,
            "cases": f"{options.num_cases} of the catalogue, split {options.split}, every second garment laid "
            "flat where it can; the pose is somebody else's, read from their picture; FiNet knows no other pose and "
            "sees the true frame without the garment, and upper and lower garments alone",
            "size": f"{system.size[0]}x{system.size[1]}; SSIM with an 11-tap Gaussian; flow errors at 128x96, the mean "
            "over cases of each one's visible garment",
            **distances.protocol,
        }
        self.texts["about"] = {"variants": ", ".join(painters), "stage 3": clothflow_steps.stage_3_weights(painters)}

    def sections(self, results):
        from vton_jax.evaluate import report

        rows = [*VARIANT_NAMES, *other_systems(self.options.system)]
        pictures = {"lpips": "LPIPS", "ssim": "SSIM"}
        pictures |= {f"{name}_garment": f"{text} garment" for name, text in (*pictures.items(), ("psnr", "PSNR"))}
        flows = {"epe": "EPE along the truth", "try_on_epe": "EPE in try-on"}
        flow_rows = [name for name in VARIANT_NAMES if f"clothflow.{name}.try_on_epe" in results]
        tables = (flow_rows, flows), (rows, pictures)
        return [report.score_table(results, "clothflow", *table) for table in tables]


def chosen_variants(options) -> list[str]:
    """The variants that `options.variants` names. Raises: WrongOption for an unknown one."""
    from vton_jax.systems.clothflow import variants

    if options.variants == "all":
        return list(VARIANT_NAMES)
    if options.variants == "trained":
        return [name for name in VARIANT_NAMES if variants.is_trained(name, options.weights)]
    names = options.variants.split(",")
    if unknown := [name for name in names if name not in VARIANT_NAMES]:
        why = f"names {', '.join(unknown)}; known are {', '.join(VARIANT_NAMES)}."
        raise WrongOption("variants", options.variants, why)
    return names


def other_systems(asked: str) -> tuple[str, ...]:
    """The systems beside ClothFlow that an option names. Raises: WrongOption for an unknown one."""
    arms = tuple(f"{protocol.LAB126}_{arm}" for arm in ARM_NAMES)
    groups = {"clothflow": (), "all": (*arms, "finet"), protocol.LAB126: arms}
    found = [name for part in asked.split(",") for name in groups.get(part, (part,))]
    if unknown := [name for name in found if name not in groups["all"]]:
        known = ", ".join((*groups, *groups["all"]))
        raise WrongOption("system", asked, f"names {', '.join(unknown)}; known are {known}.")
    return tuple(dict.fromkeys(found))


def _short_names(found: dict):
    """`clothflow.epe` and `clothflow.lpips` are the whole system's."""
    for score in ("epe", "lpips"):
        if score in found.get("full", {}):
            yield f"clothflow.{score}", float(np.nanmean(np.asarray(found["full"][score], np.float64)))


def _differences(found: dict, seed: int):
    """The whole system minus every other, paired by case, with a 95% bootstrap interval."""
    from vton_jax.evaluate import metrics

    whole = found.get("full", {})
    for name in (name for name in found if name != "full"):
        for score in ("epe", "lpips", "ssim_garment"):
            if score in whole and score in found[name]:
                key = f"clothflow.full_minus_{name}.{score}"
                each = metrics.bootstrap_interval(whole[score] - found[name][score], seed)
                yield from zip((key, f"{key}.low", f"{key}.high"), each, strict=True)
