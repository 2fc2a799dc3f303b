"""Fillings of a photo side by side: what `python -m vton_jax.inpaint` makes."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from vton_jax.core import files
from vton_jax.media import photo_files, visualize
from vton_jax.systems.finet.options import WAYS, InpaintOptions
from vton_jax.systems.finet.protocol import Inpainter, Person, Samples

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "dressed.png"
_CELL = 384  # pixels a sheet's pictures are high
_TITLES = {"both": "shape and appearance", "shape": "shape", "appearance": "appearance", "none": "this garment"}


@dataclasses.dataclass(frozen=True)
class Filled:
    """What was asked for, with its fillings by what varies."""

    person: Person
    garment: np.ndarray | None  # uint8 [H, W, 3], the picture of the garment that is given
    samples: dict[str, Samples]

    def sheet(self) -> np.ndarray:
        """The photo, what is taken away, perhaps the garment, and the fillings; a row for each way: uint8 [H, W, 3]."""
        open_person = np.where(next(iter(self.samples.values())).mask[..., None], 0.5, self.person.frame)
        before = [self.person.photo, visualize.to_uint8(open_person)] + ([] if self.garment is None else [self.garment])
        rows = [[*before, *samples.images] for samples in self.samples.values()]
        width = round(_CELL * min(1.5, self.person.photo.shape[1] / self.person.photo.shape[0]))
        titles = ["photo", "taken away", *(["garment"] if self.garment is not None else [])]
        return visualize.contact_sheet(rows, [_TITLES[way] for way in self.samples], titles, (_CELL, width))

    def write(self, output: Path) -> list[Path]:
        """Writes the sheet, and beside it each filling at the photo's size. Raises: UserError."""
        photo_files.write_image(output, self.sheet())
        written = [output]
        for way, samples in self.samples.items():
            for number, image in enumerate(samples.images, start=1):
                written.append(output.with_name(f"{output.stem}_{way}_{number}.png"))
                photo_files.write_image(written[-1], image)
        return written


def fill(
    options: InpaintOptions,
    system: Inpainter,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> Filled:
    """Does what is asked.

    Args: progress: called with (stage, done, total), may raise `Cancelled`. Raises: UserError, and what it raises.
    """
    progress("reading", 0, 1)
    person = system.read(photo_files.read_photo(options.person or SAMPLE))
    picture = None if options.garment is None else photo_files.read_photo(options.garment)
    garment = None if picture is None else system.read_garment(picture, options.region)
    ways = {"all": WAYS if garment is None else ("none",)}.get(options.vary, (options.vary,))
    count = 1 if ways == ("none",) else options.num_samples
    found, total = {}, count * len(ways)
    for number, way in enumerate(ways):
        step = lambda done, before=number * count: progress("filling in", before + done, total)  # noqa: E731
        found[way] = system.inpaint(
            person, options.region, jax.random.PRNGKey(options.seed), num_samples=count, vary=way, garment=garment,
            compatibility=options.compatibility, progress=step,
        )  # fmt: skip
    return Filled(person, picture, found)


def run(options: InpaintOptions, output: Path, say: Callable[[str], None]) -> list[Path]:
    """The whole command: reads, fills in, writes. Raises: UserError; then nothing is written."""
    from vton_jax.systems.finet.system import Finet  # here: names of options come without JAX

    files.require_writable(output)
    system = Finet(options.weights)
    say(f"reading and filling in {options.region}")
    return fill(options, system).write(output)
