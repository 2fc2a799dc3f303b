"""The suite `strangers`: pictures that a stranger brings, of people and of garments that nobody here tuned for.

How well they are read (`stranger_reading.py`), how true pairs come out (`strangers_pairs.py`), and cells of a person in
a garment for a judge to look at (`strangers_cells.py`, `judging.py`). What the names of the results mean, and what a
right cell is: docs/evaluation.md. Imports no JAX.
"""

import dataclasses

import numpy as np

from vton_jax.core.errors import WrongOption
from vton_jax.core.options import option
from vton_jax.evaluate import judging, protocol, report, strangers_folder, tables
from vton_jax.evaluate.strangers_folder import Folder
from vton_jax.inputs import splits
from vton_jax.systems.options import ARM_NAMES

SCORES = ("ssim", "psnr", "ssim_garment", "lpips", "lpips_garment", "lpips_vgg", "lpips_vgg_garment")
_SHOWN = 40  # pairs on the sheet at most
_READ_COLUMNS = ("file", "kind", "read as", "type", "read as type", "sleeves", "read as sleeves")


class StrangersSuite(protocol.Suite):
    """With the option `judged` it only says what a judge found."""

    name = "strangers"

    @dataclasses.dataclass(frozen=True)
    class Options(protocol.WholeSystemOptions):
        data: str | None = option(None, "The folder with person/ and garment/, maybe garments.csv and pairs.csv.")
        pairs: str | None = option(None, "A table person,garment of true pairs. Default: pairs.csv, else by name.")
        arms: str = option("post", "Arms of lab126, separated by commas; the first one makes the cells.")
        num_cells: int = option(60, "Cells of a person in a garment, for a judge; 0 for none.", lower_bound=0)
        seed: int = option(0, "Seed of the cells.")
        judged: str | None = option(None, "A filled judge.csv: prints how many cells are right, and does nothing else.")

    def __init__(self, options):
        super().__init__(options)
        self.only_prints = options.judged is not None
        self.arms = tuple(name.strip() for name in options.arms.split(","))
        self._read: list[tuple[str, ...]] = []
        if not self.only_prints:
            protocol.require_data(type(self), options, "with photos in person/ and garment/")
        if unknown := [name for name in self.arms if name not in ARM_NAMES]:
            raise WrongOption(
                "arms", options.arms, f"has {unknown[0] or 'an empty name'}; known are {', '.join(ARM_NAMES)}."
            )

    def run(self):
        options = self.options
        if self.only_prints:
            yield from ((f"strangers.judged.{name}", value) for name, value in judging.score(options.judged).items())
            return
        folder = strangers_folder.open_folder(options.data, options.pairs)
        if self.folder is not None and options.num_cells:
            judging.require_unjudged(self.folder)
        from vton_jax.evaluate import dressing, perceptual
        from vton_jax.systems.options import JobOptions

        compared = dressing.open_systems(options, self.arms)
        asked = JobOptions(system=options.system, weights=options.weights, background=options.background)
        distances = perceptual.open_distances(options.perceptual)
        self.texts["protocol"] = self._protocol(folder, compared.size, distances)
        self.texts["about"] = dressing.about(options)
        yield from self._reading(folder, compared.first)
        yield from self._pairs(folder, compared, asked, distances)
        if self.folder is not None and options.num_cells:
            yield from self._cells(folder, compared, asked)

    def sections(self, results):
        names = [*ARM_NAMES, self.options.system, "hidden"]
        wrong = [line for line in self._read if any(line[at] and line[at] != line[at + 1] for at in (1, 3, 5))]
        parts = [report.score_table(results, "strangers.pairs", names, {score: score for score in SCORES})]
        if wrong:
            parts += ["<h2>What was misread</h2>", report.html_table(list(_READ_COLUMNS), wrong)]
        return parts

    # ---------------------------------------------------------------------------------------------------------- reading

    def _reading(self, folder: Folder, system):
        """What every picture is taken for, against what it is."""
        from vton_jax.evaluate import stranger_reading
        from vton_jax.media import photo_files, progress

        right: dict[str, list[bool]] = {name: [] for name in ("kind", "kind_person", "kind_garment", "type", "sleeves")}
        sleeved = stranger_reading.reads_sleeves(system)
        pictures = [("person", path) for path in folder.people] + [("garment", path) for path in folder.garments]
        for kind, path in progress.each(pictures, "picture"):
            seen = stranger_reading.look(system, photo_files.read_photo(path))
            for name in ("kind", f"kind_{kind}"):
                right[name].append(seen.kind == kind)
            truth = folder.truth.get(path.name) if kind == "garment" else None
            if truth:
                right["type"].append(seen.type == truth.type)
            sleeves = truth.sleeves if truth and sleeved else ""
            if sleeves:
                right["sleeves"].append(seen.sleeves == sleeves)
            said = (truth.type, seen.type) if truth else ("", seen.type)
            self._read.append((f"{kind}/{path.name}", kind, seen.kind, *said, sleeves, seen.sleeves))
        if not sleeved and any(truth.sleeves for truth in folder.truth.values()):
            report.say("nothing reads sleeves, so there is no strangers.sleeves.")
        if self.folder is not None:
            tables.write(self.folder / "reading.csv", _READ_COLUMNS, self._read)
        for name, values in right.items():
            if values:
                yield f"strangers.{name}", float(np.mean(values))
                yield f"strangers.{name}.right", float(sum(values))
                yield f"strangers.{name}.count", float(len(values))

    # ------------------------------------------------------------------------------------------------- pairs and cells

    def _pairs(self, folder: Folder, compared, asked, distances):
        from vton_jax.evaluate import dressing, strangers_pairs
        from vton_jax.media import visualize

        yield "strangers.pairs.count", float(len(folder.pairs))
        if not folder.pairs:
            return
        parser = dressing.open_parser(self.options)
        scored = strangers_pairs.score_pairs(folder.pairs, compared, asked, parser, distances)
        yield "strangers.pairs.refused", float(scored.refused)
        titles = ["person and truth", "garment", "user as shown", *compared.names]
        if scored.rows:
            self.pictures["Pairs"] = visualize.contact_sheet(scored.rows[:_SHOWN], column_titles=titles)
        for name, values in scored.found.items():
            there = [value for value in values if not np.isnan(value)]
            yield f"strangers.pairs.{name}", float(np.mean(there)) if there else float("nan")

    def _cells(self, folder: Folder, compared, asked):
        from vton_jax.evaluate import strangers_cells

        cells = strangers_folder.draw_cells(folder, self.options.num_cells, self.options.seed)
        if compared.arms:
            asked = dataclasses.replace(asked, remap=compared.names[0])
        asked = dataclasses.replace(asked, output_size="photo")
        made = strangers_cells.make_cells(self.folder, cells, compared.first, asked)
        self.texts["about"] |= {"cells": f"the first {len(made)} of seed {self.options.seed}, by {compared.names[0]}"}
        report.say(f"the cells for a judge lie in {judging.cells_folder(self.folder)}, their key beside that folder.")
        yield "strangers.cells", float(len(made))
        yield "strangers.refused", float(sum(cell.outcome == judging.REFUSED for cell in made))

    def _protocol(self, folder: Folder, size: tuple[int, int], distances) -> dict[str, str]:
        files = [f"person/{path.name}" for path in folder.people] + [f"garment/{path.name}" for path in folder.garments]
        told = [f"{name} {truth.type} {truth.sleeves}" for name, truth in folder.truth.items()]
        pairs = [f"{pair.person.name} {pair.garment.name} {pair.type}" for pair in folder.pairs]
        return {
            "suite": self.name,
            "split_hash": splits.split_hash(files + told + pairs),
            "pictures": f"{len(folder.people)} people, {len(folder.garments)} garments, {len(pairs)} true pairs",
            "size": f"{size[0]}x{size[1]}, padded with the photo's edge; SSIM with an 11-tap Gaussian",
            "user": "in a true pair, the worn garment lies under grey; the pose is the user's own",
            **distances.protocol,
        }
