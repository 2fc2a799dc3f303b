"""The suite `realism`: how far the catalogue's people are from those in Clothing Co-Parsing's photos.

Kernel distances between features of VGG16 (`realism.py`, `metrics.kernel_distance`); people of all sides are cut out,
so that grounds count on none. What the names of the results mean: docs/evaluation.md. Imports no JAX.
"""

import dataclasses

from vton_jax.core.errors import UserError, WrongOption
from vton_jax.core.options import option
from vton_jax.evaluate import protocol, report
from vton_jax.inputs import splits

SIDES = ("photos", "catalogue")
_FEWEST = 4  # of which halves have an unbiased distance
_SHOWN = 10  # people of each kind on the sheet


class RealismSuite(protocol.Suite):
    """The photos whose number ends in 3, against drawn people and against the data set's other photos."""

    name = "realism"

    @dataclasses.dataclass(frozen=True)
    class Options(protocol.PerceptualOptions):
        data: str | None = option(None, "The folder with photos/, labels/ and labels.json.")
        realism_frames: int = option(400, "People of each kind.", lower_bound=_FEWEST)

    def __init__(self, options):
        protocol.require_data(type(self), options, "of Clothing Co-Parsing")
        super().__init__(options)

    def run(self):
        from vton_jax.evaluate import metrics, realism
        from vton_jax.inputs import ccp
        from vton_jax.media import visualize

        options = self.options
        network = _vgg16(options.perceptual)
        numbers = ccp.numbers(options.data)
        chosen = [number for number in numbers if ccp.is_validation(number)]
        others = [number for number in numbers if not ccp.is_validation(number)]
        sides = {
            "photos": realism.photographed(options.data, others),
            "catalogue": realism.catalogue(),
        }
        report.say(f"{len(chosen)} photos")
        real, _ = realism.take(realism.photographed(options.data, chosen), len(chosen))
        if len(real) < _FEWEST:
            raise UserError(
                f"{options.data} shows {len(real)} whole people in photos whose number ends in 3; "
                f"the suite realism needs {_FEWEST}."
            )
        yield "num_photos", len(real)
        truth, sheet = realism.features(network, real), {"photos, ending in 3": real[:_SHOWN]}
        self.texts["about"] = {}
        for side, frames in sides.items():
            report.say(f"{side}: {options.realism_frames} people")
            people, seen = realism.take(frames, options.realism_frames)
            self.texts["about"][f"{side}.frames"] = f"{len(people)} people of {seen} frames looked at"
            sheet[side] = people[:_SHOWN]
            if len(people) < _FEWEST:
                continue  # a folder of photos for validation alone
            found = realism.features(network, people)
            for name in realism.BLOCKS:
                values = metrics.kernel_distance(found[name], truth[name])
                yield from zip((f"{side}.{name}{end}" for end in ("", ".low", ".high")), values, strict=True)
        titles = [title.replace("_", " ") for title in sheet]
        self.pictures["People as compared"] = visualize.contact_sheet(list(sheet.values()), row_titles=titles)
        self._state_protocol(network, chosen)

    def _state_protocol(self, network, chosen: list[str]) -> None:
        from vton_jax.evaluate import realism
        from vton_jax.models import lpips_weights

        self.texts["protocol"] = {
            "suite": "realism",
            "photos": f"{len(chosen)} whose number ends in 3, split_hash {splits.split_hash(chosen)}",
            "people": f"{self.options.realism_frames} of each kind, not chosen: the first {realism.FRAMING}",
            "drawn": f"at {realism.DRAWN_SIZE[0]}x{realism.DRAWN_SIZE[1]}, split test: the first example of each user "
            "of the catalogue, output",
            "features": "VGG16, mean over places of block 4 (ReLU 4_3; .kid) and block 2 (ReLU 2_2; .kid_block2), "
            f"weights {lpips_weights.digest(network.params)}",
            "distance": "squared maximum mean discrepancy, unbiased, unscaled, kernel (x.y / channels + 1)^3; "
            "intervals of 95% from 1000 random halves",
        }

    def sections(self, results):
        from vton_jax.evaluate import realism

        parts = ["<p>People cut out of photos, and drawn ones; 0 is as alike as photos of one origin.</p>"]
        interval = lambda key: " to ".join(f"{results[f'{key}.{end}']:.3f}" for end in ("low", "high"))  # noqa: E731
        rows = [
            [side, *(f"{results[key]:.3f} ({interval(key)})" for key in (f"{side}.{name}" for name in realism.BLOCKS))]
            for side in SIDES
            if f"{side}.kid" in results
        ]
        return [*parts, report.html_table(["", *realism.BLOCKS], rows)]


def _vgg16(asked: str):
    """VGG16 from the files that `--perceptual` finds. Raises: WrongOption where there is none."""
    from vton_jax.evaluate import perceptual

    found = {network.name: network for network in perceptual.open_networks(asked)}
    if "vgg16" not in found:
        why = f"finds no weights of VGG16, by whose features people are compared: {perceptual.HOW_TO_GET_THEM}."
        raise WrongOption("perceptual", asked, why)
    return found["vgg16"]
