"""How tall the wearers of flat garments are read: python benchmarks/flat_wearers.py --photos=DIR/KIND

KIND is dress, t-shirt, longsleeve, shirt or outwear, whose photos the folder holds. `catalogue.garment_photos` fits a
garment by rule to each; where it fits, the joints of its wearer are known. Prints how far joints are off, in the known
body's heights, as ReaderCNN reads them and as `layout.garment_fit` has them; how tall the wearer is so, over the truth;
and how long garments lie and how wide, which `garment_fit.THRESHOLDS` has the medians of.
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
TYPES = {"dress": "dress"} | dict.fromkeys(("t-shirt", "longsleeve", "shirt", "outwear"), "upper")


def known(photo: np.ndarray, kind: str, size: tuple[int, int]) -> np.ndarray | None:
    """The middles of `PAIRS` [4, 2] in the photo as the networks see it; None where no garment of a kind fits."""
    small = cv2.resize(photo, (round(photo.shape[1] * ROWS / len(photo)), ROWS), interpolation=cv2.INTER_AREA)
    try:
        fit = garment_photos.fit(small, kind)
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
    kind = Path(options.photos).name
    if kind not in TYPES:
        parser.error(f"--photos ends in {kind!r}, which is none of {', '.join(TYPES)}.")
    shown = PAIRS if TYPES[kind] == "dress" else PAIRS[:2]
    files = sorted(Path(options.photos).glob("*.jpg"))
    random.Random(1).shuffle(files)

    def watched(points, *given, **named):
        read["network"] = points
        return wearer(points, *given, **named)

    away, tall, lies = {"network": [], "fit": []}, [], []
    with mock.patch.object(garment_fit, "wearer", watched):
        for file in files[: options.num_photos]:
            photo = photo_files.read_photo(file)
            if (truth := known(photo, kind, reader.size)) is None:
                continue
            try:
                garment = reader.read_garment(framing.fit(photo, reader.size)[0], TYPES[kind], True)
            except UserError:
                continue
            read["fit"] = np.asarray(garment.layout.keypoints)
            height = np.linalg.norm(truth[1] - truth[0]) / PROPORTIONS.torso
            for name, points in read.items():
                middles = np.stack([(points[ID[one]] + points[ID[other]]) / 2 for one, other in PAIRS])
                away[name].append((middles - truth)[:, 1] / height)
            tall.append(np.linalg.norm(middles[1] - middles[0]) / PROPORTIONS.torso / height)
            mask = np.asarray(garment.layout.segmentation) > 0
            upright = complex(1), complex(*middles[0])
            if (found := garment_fit._lies(mask, *upright)) is not None:
                lies.append((found[0] / height, found[1](garment_fit.THRESHOLDS.upper[0]) / height))
    for name, rows in away.items():
        rows = np.array(rows)
        print(f"{name}, {len(rows)} of {kind}, body heights too far down:")
        for (pair, _), column in zip(shown, rows.T, strict=False):
            joint = pair.removeprefix("left-")
            print(f"  {joint}s: median {np.median(column):+.3f}, off by {np.median(abs(column)):.3f}, "
                  f"four in five by less than {np.quantile(abs(column), 0.8):.3f}")  # fmt: skip
    print(f"wearer's height over the truth: median {np.median(tall):.3f}, off by {np.mean(np.abs(np.log(tall))):.3f}")
    length, width = np.median(lies, 0)
    print(f"as long as {length:.3f} body heights, at {garment_fit.THRESHOLDS.upper[0]} of it {width:.3f} wide")


if __name__ == "__main__":
    main()
