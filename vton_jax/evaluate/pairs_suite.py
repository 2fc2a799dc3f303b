"""The suite `pairs`: photos of people beside the very garment that they wear, laid flat; the photo is the truth.

What the user wears is hidden (`hidden_garments.py`); the pose is the user's own. What the names of the results mean:
docs/evaluation.md. Imports no JAX.
"""

import collections
import dataclasses
from pathlib import Path

import numpy as np

from vton_jax.core import listings
from vton_jax.core.errors import WrongOption
from vton_jax.core.options import option
from vton_jax.evaluate import protocol, report
from vton_jax.inputs import splits
from vton_jax.systems.options import ARM_NAMES

# Folders of people and of garments, as the field lays them out.
LAYOUTS = (("person", "garment"), ("image", "cloth"), ("test_img", "test_clothes"))
SCORES = ("ssim", "psnr", "ssim_garment", "lpips", "lpips_vgg")
_SUFFIXES = (".jpg", ".jpeg", ".png")
_SHOWN = 40  # pairs on the sheet at most


class PairsSuite(protocol.Suite):
    """A list may pair halves with whole people: the garment's own kind says what is exchanged."""

    name = "pairs"

    @dataclasses.dataclass(frozen=True)
    class Options(protocol.WholeSystemOptions):
        data: str | None = option(None, "The folder with person/ and garment/, or image/ and cloth/.")
        pairs: str | None = option(None, 'A file that lists "person garment" names, a pair a line. Default: by name.')

    def __init__(self, options, arms: tuple[str, ...] = ARM_NAMES):
        protocol.require_data(type(self), options, "with people and garments")
        super().__init__(options)
        self.arms = arms

    def run(self):
        from vton_jax.core import framing, segmentation
        from vton_jax.evaluate import dressing, hidden_garments, perceptual, scores
        from vton_jax.media import progress, visualize

        options = self.options
        pairs = find_pairs(options.data, options.pairs)
        compared = dressing.open_systems(options, self.arms)
        distances = perceptual.open_distances(options.perceptual)
        parser = dressing.open_parser(options)
        found, rows, colour = collections.defaultdict(list), [], visualize.colour_segmentation
        for pair in progress.each(pairs, "pair"):
            frame, flat = (_read(path, compared.size) for path in pair)
            user = compared.first.read_user(frame)
            garment = compared.first.read_garment(flat, flat=True)
            truth, labels = framing.to_float(frame), parser.parse(frame[None])[0][0]
            readings = [np.asarray(user.layout.segmentation), labels]
            images, target = hidden_garments.dress_hidden(compared, user, garment, readings, options.background)
            images["paste"] = scores.paste(visualize.to_uint8(images["hidden"]), user.layout, garment)
            kind = segmentation.GARMENT_TYPES[int(garment.garment_type)]
            region = segmentation.region(labels, segmentation.REPLACED_LABELS[kind])
            for name, image in images.items():
                for score, value in _scores(image, truth, region, distances).items():
                    found[f"pairs.{name}.{score}"].append(value)
            rows.append([truth, flat, images["hidden"], colour(target.coarse), colour(target.final)])
            rows[-1] += [images[name] for name in ("paste", *compared.names)]
        titles = ["person and truth", "garment", "user as shown", "coarse", "final", "paste", *compared.names]
        self.pictures["Pairs"] = visualize.contact_sheet(rows[:_SHOWN], column_titles=titles)
        height, width = compared.size
        self.texts["protocol"] = {
            "suite": "pairs",
            "split_hash": splits.split_hash(f"{person.name} {garment.name}" for person, garment in pairs),
            "size": f"{height}x{width}, padded with the photo's edge; SSIM with an 11-tap Gaussian",
            "user": f"the worn garment and {hidden_garments.HIDE} pixels around it under grey; "
            "the pose is the user's own",
            "garment_region": f"ReaderCNN's reading of the photo ({parser.name})",
            **distances.protocol,
        }
        self.texts["about"] = dressing.about(options)
        yield "num_pairs", len(pairs)
        yield from ((name, float(np.nanmean(values))) for name, values in found.items())

    def sections(self, results):
        rows = [*ARM_NAMES, self.options.system, "hidden", "paste"]
        return [report.score_table(results, "pairs", rows, {score: score for score in SCORES})]


def _read(path: Path, size: tuple[int, int]) -> np.ndarray:
    from vton_jax.core import framing
    from vton_jax.media import photo_files

    return framing.fit(photo_files.read_photo(path), size)[0]


def _scores(image: np.ndarray, truth: np.ndarray, region: np.ndarray, distances) -> dict[str, float]:
    from vton_jax.evaluate import metrics

    return {
        "ssim": metrics.ssim(image, truth),
        "psnr": metrics.psnr(image, truth),
        "ssim_garment": metrics.ssim(image, truth, region),
        **{key: value for key, (value,) in distances(image[None], truth[None]).items()},
    }


# --------------------------------------------------------------------------------------------------- finding the pairs


def find_pairs(folder: str | Path, listed: str | Path | None = None) -> list[tuple[Path, Path]]:
    """(person, garment) files of the true pairs.

    Args: folder: with person/ and garment/ (or image/ and cloth/, test_img/ and test_clothes/), or with test/ that
    holds them. listed: a file of "person garment" names, one pair a line; else a garment belongs to the person of its
    own name, or, as in VITON, NAME_1 to NAME_0. Raises: UserError where there are none, or a listed file is missing.
    """
    roots = [root for root in (Path(folder), Path(folder) / "test") if root.is_dir()]
    found = [(root / a, root / b) for root in roots for a, b in LAYOUTS if (root / a).is_dir() and (root / b).is_dir()]
    if not found:
        raise WrongOption("data", folder, "holds no people and garments: person/ and garment/, or image/ and cloth/.")
    people, garments = found[0]
    if listed is not None:
        return _listed_pairs(listed, people, garments)
    pairs = []
    for person in listings.files_in(people, suffixes=_SUFFIXES):
        name = person.stem[:-2] + "_1" if person.stem.endswith("_0") else person.stem
        files = [garments / (name + suffix) for suffix in _SUFFIXES]
        pairs += [(person, file) for file in files if file.exists()][:1]
    if not pairs:
        why = f"has nobody in {people.name}/ whose garment lies in {garments.name}/; a file of pairs can list them."
        raise WrongOption("data", folder, why)
    return pairs


def _listed_pairs(listed: str | Path, people: Path, garments: Path) -> list[tuple[Path, Path]]:
    pairs = []
    for line in listings.read_pairs(listed):
        pair = people / line[0], garments / line[1]
        for path in pair:
            if not path.is_file():
                raise WrongOption("pairs", listed, f"lists {path.name}, which is not in {path.parent}.")
        pairs.append(pair)
    if not pairs:
        raise WrongOption("pairs", listed, "lists no pair.")
    return pairs
