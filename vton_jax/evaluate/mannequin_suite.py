"""The suite `mannequin`: people and garments of the catalogue's test split, drawn with their exact truth; then known
difficulties one at a time (`failure_suite.py`). What the names of the results mean: docs/evaluation.md. Imports no JAX.
"""

import dataclasses

from vton_jax.core.options import option
from vton_jax.evaluate import protocol, report
from vton_jax.systems.options import ARM_NAMES


class MannequinSuite(protocol.Suite):
    """Users, garments and poses enter as RGB alone."""

    name = "mannequin"

    @dataclasses.dataclass(frozen=True)
    class Options(protocol.SuiteOptions):
        num_cases: int = option(90, "Try-on cases; a multiple of 30 is even over garments and patterns.", lower_bound=2)
        num_clip_frames: int = option(24, "Frames of each of the two clip cases (0: none).", lower_bound=0)
        num_failure_cases: int = option(
            6, "Cases of each failure suite; a multiple of 12 is even over all (0: none).", lower_bound=0
        )
        seed: int = option(0, "Seed of the cases.")

    def __init__(self, options):
        protocol.require_lab126(type(self), options)
        super().__init__(options)

    def run(self):
        from vton_jax.evaluate import dressing, failure_suite, mannequin_steps
        from vton_jax.mannequin import cases as mannequin_cases

        options = self.options
        systems = dressing.open_arms(options)
        system = systems["none"]
        report.say(f"drawing {options.num_cases} cases")
        cases = mannequin_cases.draw_cases(options.num_cases, system.size, options.seed)
        yield "num_cases", options.num_cases

        report.say("forward procedure")
        users = mannequin_steps.read_users(system.reader, cases["input_image"])
        poses, outputs = (
            mannequin_steps.read_poses(system.reader, cases[f"{name}_image"]) for name in ("pose", "output")
        )
        layouts = {"input": users.layout, "pose": poses.layout, "output": outputs.layout}
        yield from mannequin_steps.forward_scores(layouts, cases).items()

        report.say("garments")
        garments = mannequin_steps.read_garments(system.reader, cases)
        yield from mannequin_steps.garment_scores(system.reader, garments, cases).items()

        report.say("coarse maps and the backward procedure")
        read = mannequin_steps.Readings(users, poses, outputs, garments)
        maps = mannequin_steps.find_targets(system.layouts, read)
        yield from mannequin_steps.target_scores(maps, poses, cases).items()

        report.say("the four arms")
        results, images = mannequin_steps.arm_scores(systems, read, maps.final, cases, options.seed)
        yield from results.items()
        self.pictures |= mannequin_steps.sheets(cases, images, maps)

        if options.num_clip_frames:
            report.say("clips and temporal filters")
            given = systems, mannequin_cases.draw_walk, options.num_clip_frames, options.seed
            yield from mannequin_steps.clip_scores(*given).items()
        self.texts["protocol"] = {
            "suite": "mannequin",
            "cases": f"{options.num_cases} of the test split, seed {options.seed}; {options.num_clip_frames} frames of "
            "each clip",
            "size": f"{system.size[0]}x{system.size[1]}; SSIM with an 11-tap Gaussian; flow errors at 128x96",
        }
        self.texts["cases"] = mannequin_steps.counts(cases)
        if options.num_failure_cases:
            yield from protocol.include(self, failure_suite.FailureSuite(options, systems))

    def sections(self, results):
        from vton_jax.evaluate import failure_suite, scores

        parts = ["<p>Unseen people and garments; user, donor and pose enter as RGB alone.</p>"]
        parts.append("<h2>Try-on against the counterfactual truth</h2>")
        rows = [*ARM_NAMES, "pose_image", "paste"]
        parts.append(report.score_table(results, "try_on", rows, scores.PICTURE_SCORES))
        return parts + failure_suite.tables(results)
