"""The suite `ccp`: photos of people on the street, Clothing Co-Parsing, in parts (`ccp_parsing.py`, `ccp_layouts.py`,
`ccp_self.py`). What the names of the results mean: docs/evaluation.md. Imports no JAX.
"""

import dataclasses

from vton_jax.core.errors import UserError, WrongOption
from vton_jax.core.options import option
from vton_jax.evaluate import protocol, report
from vton_jax.inputs import splits
from vton_jax.systems.options import ARM_NAMES

PARTS = ("parsing", "backward", "self")


class CcpSuite(protocol.Suite):
    """RGB alone enters."""

    name = "ccp"

    @dataclasses.dataclass(frozen=True)
    class Options(protocol.WholeSystemOptions):
        data: str | None = option(None, "The folder with photos/, labels/ and labels.json.")
        ids: str | None = option(
            None, "A file that lists the photos' numbers, one a line, instead of those ending in 3."
        )
        ccp_parts: tuple[str, ...] = option(PARTS, "Which parts are evaluated, separated by commas.")
        stride: int = option(8, "Every so many photos is dressed; 1 for all.", lower_bound=1)

    def __init__(self, options):
        protocol.require_data(type(self), options, "of Clothing Co-Parsing")
        parts = options.ccp_parts
        if not parts or not set(parts) <= set(PARTS):
            raise WrongOption("ccp_parts", ",".join(parts), f"should name some of {', '.join(PARTS)}.")
        if set(parts) != {"self"}:
            protocol.require_lab126(type(self), options, ", but for its part self (ccp_parts=self)")
        super().__init__(options)

    def run(self):
        from vton_jax.evaluate import ccp_layouts, ccp_parsing, ccp_self
        from vton_jax.inputs import ccp

        options = self.options
        chosen = ccp.numbers(options.data, options.ids)
        if options.ids is None:
            chosen = [number for number in chosen if ccp.is_validation(number)]
        if not chosen:
            raise UserError(
                f"There is nothing to evaluate: {options.ids or options.data} names no photo for validation."
            )
        self.texts["protocol"] = {
            "suite": "ccp",
            "parts": ", ".join(options.ccp_parts),
            "split_hash": splits.split_hash(chosen),
        }
        yield "num_photos", len(chosen)
        made = {
            "parsing": lambda: ccp_parsing.Parsing(options, chosen),
            "backward": lambda: ccp_layouts.Backward(options, chosen),
            "self": lambda: ccp_self.SelfReconstruction(options, chosen[:: options.stride]),
        }
        for part in options.ccp_parts:
            report.say(f"the part {part}")
            yield from protocol.include(self, made[part]())

    def sections(self, results):
        parts = ["<p>Photos of people on the street, read from RGB alone.</p>"]
        scores = [name.removeprefix("ccp.reader_once.") for name in results if name.startswith("ccp.reader_once.")]
        if scores:
            rows = [
                [name, *(f"{results[f'{who}.{name}']:.4f}" for who in ("ccp", "ccp.reader_once"))] for name in scores
            ]
            parts += ["<p>Intersections and unions over all pixels.</p>"]
            parts += [report.html_table(["IoU", "ReaderCNN", "ReaderCNN, in one look"], rows)]
        rows = [[name, f"{value:.4f}"] for name, value in results.items() if name.startswith("ccp.backward.")]
        parts += ["<h2>The backward procedure</h2>", report.html_table([], rows)] if rows else []
        names = ("ssim", "psnr", "ssim_garment", "psnr_garment", "lpips", "lpips_vgg")
        lines = [*ARM_NAMES, self.options.system, "hidden"]
        table = report.score_table(results, "ccp.self", lines, {name: name for name in names})
        return parts + (["<h2>Self-reconstruction</h2>", table] if table else [])
