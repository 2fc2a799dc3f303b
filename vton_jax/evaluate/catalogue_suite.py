"""The suite `catalogue`: people and garments of the catalogue's test split, drawn with their exact truth; then known
difficulties one at a time (`failure_suite.py`). What the names of the results mean: docs/evaluation.md. Imports no JAX.
"""

import dataclasses

from vton_jax.core.options import option
from vton_jax.evaluate import protocol, report
from vton_jax.systems.options import ARM_NAMES


class CatalogueSuite(protocol.Suite):
    """Users, garments and poses enter as RGB alone."""

    name = "catalogue"

    @dataclasses.dataclass(frozen=True)
    class Options(protocol.PerceptualOptions, protocol.SuiteOptions):
        num_cases: int = option(90, "Try-on cases, each of another user; half of the garments lie flat.", lower_bound=2)
        num_clip_frames: int = option(24, "Frames of each of the two clip cases (0: none).", lower_bound=0)
        num_failure_cases: int = option(
            6, "Cases of each failure suite; a multiple of 12 is even over all (0: none).", lower_bound=0
        )
        seed: int = option(0, "Which of the split's people and garments.", lower_bound=0)

    def __init__(self, options):
        protocol.require_lab126(type(self), options)
        super().__init__(options)

    def run(self):
        from vton_jax.catalogue import cases as catalogue_cases
        from vton_jax.evaluate import catalogue_steps, dressing, failure_suite, perceptual

        options = self.options
        distances = perceptual.open_distances(options.perceptual)
        systems = dressing.open_arms(options)
        system = systems["none"]
        report.say(f"drawing {options.num_cases} cases")
        first = catalogue_cases.cases_of_a_seed(options.seed)
        cases = catalogue_cases.draw_cases(options.num_cases, system.size, first=first)
        yield "num_cases", options.num_cases

        report.say("reading people")
        names = ("input", "pose", "output")
        forward = catalogue_steps.read_forward(system.reader, {name: cases[f"{name}_image"] for name in names})
        yield from catalogue_steps.forward_scores("multi_path", forward, cases).items()
        users = catalogue_steps.read_users(system.reader, cases["input_image"])
        poses, outputs = (catalogue_steps.read_poses(system.reader, cases[f"{name}_image"]) for name in names[1:])
        layouts = {"input": users.layout, "pose": poses.layout, "output": outputs.layout}
        yield from catalogue_steps.forward_scores("reader", layouts, cases).items()

        report.say("garments")
        garments, chosen = catalogue_steps.read_garments(system.reader, cases)
        yield "garment.found", len(chosen) / options.num_cases
        cases, users, poses, outputs = catalogue_steps.only(chosen, cases, users, poses, outputs)
        yield from catalogue_steps.garment_scores(system.reader, garments, cases).items()

        report.say("coarse maps and the backward procedure")
        read = catalogue_steps.Readings(users, poses, outputs, garments)
        maps = catalogue_steps.find_targets(system.layouts, read)
        yield from catalogue_steps.target_scores(maps, poses, cases).items()

        report.say("the four arms")
        results, images = catalogue_steps.arm_scores(systems, read, maps.refined, cases, (distances, options.seed))
        yield from results.items()
        self.pictures |= catalogue_steps.sheets(cases, images, maps)

        if options.num_clip_frames:
            report.say("clips and temporal filters")
            given = systems, catalogue_cases.draw_walk, options.num_clip_frames, options.seed
            yield from catalogue_steps.clip_scores(*given).items()
        self.texts["protocol"] = {
            "suite": "catalogue",
            "cases": f"{options.num_cases} of the test split, seed {options.seed}; {options.num_clip_frames} frames of "
            "each clip",
            "size": f"{system.size[0]}x{system.size[1]}; SSIM with an 11-tap Gaussian; flow errors at 128x96",
            **distances.protocol,
        }
        self.texts["cases"] = catalogue_steps.counts(cases)
        if options.num_failure_cases:
            yield from protocol.include(self, failure_suite.FailureSuite(options, systems))

    def sections(self, results):
        from vton_jax.evaluate import failure_suite, scores

        parts = ["<p>Unseen people and garments; user, donor and pose enter as RGB alone.</p>"]
        parts.append("<h2>Try-on against the counterfactual truth</h2>")
        rows = [*ARM_NAMES, "pose_image", "paste"]
        seen = {"print_correlation": "print correlation", "lpips": "LPIPS", "lpips_garment": "LPIPS garment"}
        columns = scores.PICTURE_SCORES | {
            name: title for name, title in seen.items() if f"try_on.none.{name}" in results
        }
        parts.append(report.score_table(results, "try_on", rows, columns))
        return parts + failure_suite.tables(results)
