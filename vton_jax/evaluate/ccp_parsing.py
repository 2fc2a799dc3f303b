"""The suite `ccp`, part `parsing`: labels of photos of people on the street against the data set's own.

Conventions: intersections and unions are summed over all pixels of the set at the labels' own resolution.
"""

import numpy as np

from vton_jax.core import label_tables, segmentation
from vton_jax.evaluate import metrics, protocol
from vton_jax.inputs import ccp
from vton_jax.media import progress, visualize
from vton_jax.models import weights
from vton_jax.reading.picture_reader import PictureReader

REGIONS = {
    "person": tuple(name for name in label_tables.CCP_MERGED_LABELS if name != "null"),
    "clothes": ("hat", "upper", "skirt", "trousers", "dress", "footwear", "other"),
    "skin": ("skin",),
    "hair": ("hair",),
}
_EXAMPLES = 16  # photos on the sheet, evenly over the set


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


class Parsing(protocol.Suite):
    """ReaderCNN at several sizes, as it reads a photo of one's own, and in one look.

    Args: options: those of the suite `ccp`. chosen: the photos' numbers.
    """

    name = "ccp.parsing"

    def __init__(self, options, chosen: list[str]):
        super().__init__(options)
        self.chosen = chosen

    def run(self):
        reader = PictureReader(weights.path_of("reader_cnn", self.options.weights))
        chosen, classes = self.chosen, len(label_tables.CCP_MERGED_LABELS)
        matrices = {name: np.zeros((classes, classes + 1), np.int64) for name in ("ccp", "ccp.reader_once")}
        shown = set(np.linspace(0, len(chosen) - 1, min(_EXAMPLES, len(chosen))).round().astype(int).tolist())
        rows, right = [], {}
        for place, number in enumerate(progress.each(chosen, "photo")):
            photo, ids = ccp.read(self.options.data, number)
            read = {
                "ccp": reader.read(photo).segmentation,
                "ccp.reader_once": reader.read(photo, thorough=False).segmentation,
            }
            truth = label_tables.CCP_MERGED_FROM_CCP[ids]
            for name, labels in read.items():
                matrix = metrics.confusion(label_tables.CCP_MERGED_FROM_LABEL[labels], truth, classes)
                matrices[name] += matrix
                if name == "ccp":
                    right[number] = float(np.diagonal(matrix).sum() / matrix.sum())
            if place in shown:
                rows.append(_sheet_row(photo, ids, list(read.values())))
        for name, matrix in matrices.items():
            yield from ((f"{name}.{score}", value) for score, value in merged_scores(matrix).items())
        self.pictures["Parsing"] = _sheet(rows)
        self.texts["protocol"] = {
            "size": " and ".join(f"{height}x{width}" for height, width in reader.sizes)
            + " around the person, labels enlarged to the photo",
            "classes": ", ".join(label_tables.CCP_MERGED_LABELS),
        }
        worst = ", ".join(sorted(right, key=right.get)[:8])
        self.texts["about"] = {"reader": reader.name, "worst": worst}


def _sheet_row(photo: np.ndarray, ids: np.ndarray, read: list[np.ndarray]) -> list[np.ndarray]:
    colour = visualize.colour_segmentation
    overlay = (photo * 0.45 + colour(read[0]) * 0.55).astype(np.uint8)
    return [photo, colour(_for_show(ids)), *map(colour, read), overlay]


def _sheet(rows: list[list[np.ndarray]]) -> np.ndarray:
    """The photos in two columns."""
    half = (len(rows) + 1) // 2
    rows = [[*row, *(rows[half + i] if half + i < len(rows) else [])] for i, row in enumerate(rows[:half])]
    titles = ["photo", "true labels", "ReaderCNN", "in one look", "ReaderCNN over the photo"]
    return visualize.contact_sheet(rows, column_titles=titles * 2)


def _for_show(ids: np.ndarray) -> np.ndarray:
    """CCP's ids -> labels with a colour: skin as a face's, footwear as a left shoe's."""
    labels = label_tables.LABEL_FROM_CCP[ids]
    labels[ids == label_tables.CCP_SKIN] = segmentation.ID["face"]
    labels[np.isin(ids, label_tables.CCP_FOOTWEAR)] = segmentation.ID["left-shoe"]
    return labels
