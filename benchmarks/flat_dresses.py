"""How tall the wearers of flat dresses are read: python benchmarks/flat_dresses.py --photos=DIR

DIR holds photos of flat dresses. `catalogue.garment_photos` fits a dress by rule to each; where it fits, the joints of
its wearer are known. Prints how far joints are off, in the known body's heights: as ReaderCNN reads them, and as
`layout.garment_fit` has them.
"""

import argparse
import random
import sys
from pathlib import Path
from unittest import mock

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vton_jax.catalogue import flat_layout, garment_photos
from vton_jax.catalogue.splines import ThinPlate
from vton_jax.core import framing
from vton_jax.core.errors import UserError
from vton_jax.core.keypoints import ID
from vton_jax.layout import garment_fit
from vton_jax.layout.body import PROPORTIONS
from vton_jax.media import photo_files
from vton_jax.systems.reader import Reader

ROWS = 320  # of the photo that is fitted
PAIRS = [(f"left-{joint}", f"right-{joint}") for joint in ("shoulder", "hip", "knee", "ankle")]


def known(photo: np.ndarray, size: tuple[int, int]) -> np.ndarray | None:
    """The middles of `PAIRS` [4, 2] in the photo as the networks see it; None where no dress fits."""
    small = cv2.resize(photo, (round(photo.shape[1] * ROWS / len(photo)), ROWS), interpolation=cv2.INTER_AREA)
    try:
        fit = garment_photos.fit(small, "dress")
    except ValueError:
        return None
    if fit.score < garment_photos.THRESHOLDS.least:
        return None
    joints, spline = flat_layout.joints(fit.arms), ThinPlate.fit(fit.points, fit.pixels)
    middles = np.stack([(spline(joints[one][None])[0] + spline(joints[other][None])[0]) / 2 for one, other in PAIRS])
    scale = min(size[0] / len(photo), size[1] / photo.shape[1])
    shown = np.array(photo.shape[1::-1]) * scale
    return (middles + 0.5) * scale * len(photo) / ROWS - 0.5 + (np.array(size[::-1]) - shown) / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", required=True)
    parser.add_argument("--num_photos", type=int, default=90)
    options = parser.parse_args()
    reader, read, wearer = Reader(), {}, garment_fit.wearer
    files = sorted(Path(options.photos).glob("*.jpg"))
    random.Random(1).shuffle(files)

    def watched(points, *given, **named):
        read["network"] = points
        return wearer(points, *given, **named)

    away = {"network": [], "fit": []}
    with mock.patch.object(garment_fit, "wearer", watched):
        for file in files[: options.num_photos]:
            photo = photo_files.read_photo(file)
            if (truth := known(photo, reader.size)) is None:
                continue
            try:
                garment = reader.read_garment(framing.fit(photo, reader.size)[0], "dress", True)
            except UserError:
                continue
            read["fit"] = np.asarray(garment.layout.keypoints)
            height = np.linalg.norm(truth[1] - truth[0]) / PROPORTIONS.torso
            for name, points in read.items():
                middles = np.stack([(points[ID[one]] + points[ID[other]]) / 2 for one, other in PAIRS])
                away[name].append((middles - truth)[:, 1] / height)
    for name, rows in away.items():
        rows = np.array(rows)
        print(f"{name}, {len(rows)} dresses, body heights too far down:")
        for (pair, _), column in zip(PAIRS, rows.T, strict=True):
            joint = pair.removeprefix("left-")
            print(f"  {joint}s: median {np.median(column):+.3f}, off by {np.median(abs(column)):.3f}, "
                  f"four in five by less than {np.quantile(abs(column), 0.8):.3f}")  # fmt: skip


if __name__ == "__main__":
    main()
