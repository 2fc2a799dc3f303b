"""The suite `ccp`: photos of people on the street. What the names mean: docs/evaluation.md.

This module has the part `parsing`, and puts it together with the others (`PARTS`).

Alphabet: intersections and unions are summed over all pixels of the set at the labels' own resolution; results are
{name: number}. RGB alone enters.
"""

import functools
from pathlib import Path

import numpy as np

from vton_jax.core import framing, label_tables, segmentation
from vton_jax.core.errors import UserError
from vton_jax.evaluate import ccp_layouts, ccp_self, mannequin_suite, metrics, ubc_suite
from vton_jax.inputs import ccp, splits
from vton_jax.media import visualize
from vton_jax.models import weights
from vton_jax.reading.multi_path import MultiPath
from vton_jax.reading.photo_parser import PhotoParser
from vton_jax.systems.lab126 import try_on

PARTS = ("parsing", "backward", "self")
REGIONS = {
    "person": tuple(name for name in label_tables.CCP_MERGED_LABELS if name != "null"),
    "clothes": ("hat", "upper", "skirt", "trousers", "dress", "footwear", "other"),
    "skin": ("skin",),
    "hair": ("hair",),
}
_EXAMPLES = 16  # photos on the sheet, evenly over the set
_TOGETHER = 8  # photos that MultiPathCNN reads in one batch


def merged_scores(matrix: np.ndarray) -> dict[str, float]:
    """Scores of a confusion matrix over `CCP_MERGED_LABELS` (rows: truth; columns: prediction, and one for none).

    `iou_REGION` of regions merged before they are compared, `miou` over the ten classes, and each class by its name;
    NaN for what the truth does not show.
    """
    names = label_tables.CCP_MERGED_LABELS
    scores = {}
    for region, members in REGIONS.items():
        index = [names.index(name) for name in members]
        both = matrix[np.ix_(index, index)].sum()
        truth, read = matrix[index].sum(), matrix[:, index].sum()
        scores[f"iou_{region}"] = float(both / (truth + read - both)) if truth else float("nan")
    scores["miou"], per_class = metrics.miou_from_confusion(matrix)
    return scores | dict(zip(names, per_class, strict=True))


def evaluate_ccp(
    folder: str,
    ids: str | None = None,
    weights_folder: str | None = None,
    parts: tuple[str, ...] = PARTS,
    stride: int = 8,
    background: str = "inpaint",
    reader: str = "photo",
) -> tuple[dict, dict, dict]:
    """Returns (results, pictures, texts): name to number, name to uint8 sheet, the protocol and what was evaluated.

    Args: folder: Clothing Co-Parsing as in `ccp`. ids: a file with the photos' numbers (default: those that end in 3).
    weights_folder: other weights than the released ones. parts: some of `PARTS`. stride, background, reader: of `self`;
    every so many photos are dressed.
    """
    if not parts or not set(parts) <= set(PARTS):
        raise UserError(f"--ccp_parts={','.join(parts)} should name some of {', '.join(PARTS)}.")
    chosen = ccp.numbers(folder, ids)
    if ids is None:
        chosen = [number for number in chosen if ccp.is_validation(number)]
    if not chosen:
        raise UserError(f"There is nothing to evaluate: {ids or folder} names no photo for validation.")
    made = {
        "parsing": lambda: parse_photos(folder, chosen, weights_folder),
        "backward": lambda: ccp_layouts.evaluate_layouts(folder, chosen, weights_folder),
        "self": lambda: ccp_self.evaluate_self(
            folder, chosen[::stride], weights_folder, background=background, reader=reader
        ),
    }
    results, pictures = {"num_photos": len(chosen)}, {}
    texts = {
        "protocol": {"suite": "ccp", "parts": ", ".join(parts), "split_hash": splits.split_hash(chosen)},
        "about": {},
    }
    for part in parts:
        mannequin_suite.say(f"the part {part}")
        numbers, sheets, said = made[part]()
        results |= numbers
        pictures |= sheets
        for group, lines in said.items():
            texts[group] |= lines
    return results, pictures, texts


def parse_photos(folder: str, chosen: list[str], weights_folder: str | None = None) -> tuple[dict, dict, dict]:
    """The part `parsing` for the photos `chosen`: (results, pictures, texts) as in `evaluate_ccp`."""
    at = functools.partial(weights.path_of, folder=weights_folder)
    parser, multi_path = PhotoParser(at("parser_cnn")), MultiPath(at("multi_path_cnn"))
    classes = len(label_tables.CCP_MERGED_LABELS)
    matrices = {name: np.zeros((classes, classes + 1), np.int64) for name in ("ccp", "ccp.multi_path")}
    shown = set(np.linspace(0, len(chosen) - 1, min(_EXAMPLES, len(chosen))).round().astype(int).tolist())
    rows, shares = [], {}
    for first in mannequin_suite.progress(range(0, len(chosen), _TOGETHER), f"x {_TOGETHER} photos"):
        numbers = chosen[first : first + _TOGETHER]
        photos, truths = zip(*(ccp.read(folder, number) for number in numbers), strict=True)
        fitted, places = zip(*(framing.fit(photo, multi_path.size) for photo in photos), strict=True)
        small = multi_path.parse(np.stack(fitted))[0]
        for i, (photo, ids_map) in enumerate(zip(photos, truths, strict=True)):
            read = {"ccp": parser.parse(photo[None])[0][0], "ccp.multi_path": places[i].restore(small[i], nearest=True)}
            truth = label_tables.CCP_MERGED_FROM_CCP[ids_map]
            for name, labels in read.items():
                counts = metrics.confusion(label_tables.CCP_MERGED_FROM_LABEL[labels], truth, classes)
                matrices[name] += counts
                if name == "ccp":
                    shares[numbers[i]] = float(np.diagonal(counts).sum() / counts.sum())
            if first + i in shown:
                overlay = (photo * 0.45 + visualize.colour_segmentation(read["ccp"]) * 0.55).astype(np.uint8)
                true = visualize.colour_segmentation(_for_show(ids_map))
                rows.append([photo, true, *map(visualize.colour_segmentation, read.values()), overlay])
    results = {}
    for name, matrix in matrices.items():
        results |= {f"{name}.{score}": value for score, value in merged_scores(matrix).items()}
    half = (len(rows) + 1) // 2
    rows = [[*row, *(rows[half + i] if half + i < len(rows) else [])] for i, row in enumerate(rows[:half])]
    titles = ["photo", "true labels", "ParserCNN", "MultiPathCNN", "ParserCNN over the photo"]
    protocol = {
        "size": " and ".join(f"{height}x{width}" for height, width in parser.sizes) + ", labels enlarged to the photo",
        "classes": ", ".join(label_tables.CCP_MERGED_LABELS),
    }
    about = {
        "parser": parser.name,
        "multi_path": multi_path.name,
        "worst": ", ".join(sorted(shares, key=shares.get)[:8]),
    }
    sheet = {"Parsing": visualize.contact_sheet(rows, column_titles=titles * 2)}
    return results, sheet, {"protocol": protocol, "about": about}


def _for_show(ids: np.ndarray) -> np.ndarray:
    """CCP's ids -> labels with a colour: skin as a face's, footwear as a left shoe's."""
    labels = label_tables.LABEL_FROM_CCP[ids]
    labels[ids == label_tables.CCP_SKIN] = segmentation.ID["face"]
    labels[np.isin(ids, label_tables.CCP_FOOTWEAR)] = segmentation.ID["left-shoe"]
    return labels


def write_report(path: Path, results: dict, pictures: dict, texts: dict) -> None:
    """One page: the protocol, each part's scores side by side, the sheets."""
    parts = ["<p>Photos of people on the street, read from RGB alone.</p>"]
    parts += [mannequin_suite.html_table([], [row for group in texts.values() for row in group.items()])]
    scores = [name.removeprefix("ccp.multi_path.") for name in results if name.startswith("ccp.multi_path.")]
    if scores:
        rows = [[name, *(f"{results[f'{who}.{name}']:.4f}" for who in ("ccp", "ccp.multi_path"))] for name in scores]
        parts += ["<p>Intersections and unions over all pixels.</p>"]
        parts += [mannequin_suite.html_table(["IoU", "ParserCNN", "MultiPathCNN, forward"], rows)]
    rows = [[name, f"{value:.4f}"] for name, value in results.items() if name.startswith("ccp.backward.")]
    parts += ["<h2>The backward procedure</h2>", mannequin_suite.html_table([], rows)] if rows else []
    names = [name for name in (*try_on.ARMS, "hidden") if f"ccp.self.{name}.ssim" in results]
    columns = ubc_suite.SCORES
    rows = [[name, *(f"{results[f'ccp.self.{name}.{score}']:.4f}" for score in columns)] for name in names]
    parts += ["<h2>Self-reconstruction</h2>", mannequin_suite.html_table(["arm", *columns], rows)] if rows else []
    mannequin_suite.write_page(path, "ccp suite", parts, pictures)
