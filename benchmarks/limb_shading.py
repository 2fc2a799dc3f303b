"""How bare limbs are shaded and how wide they are: python benchmarks/limb_shading.py --dataset=runs/pictures/people.npz

Prints the tables of `compositing/bare_limbs.py` (arms) and `layout/limbs.py`, from photographed people whose labels and
joints are known (a file of `data/build.py pictures --kind=people`, without the photos that choose or score). A limb
counts where its hue is the face's.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vton_jax.compositing.bare_limbs import DARK, LUMA
from vton_jax.core.segmentation import ID
from vton_jax.core.types import Layout
from vton_jax.inputs import pictures
from vton_jax.layout import limbs

ROWS, COLUMNS = 8, 6  # of a table
FINE = 12  # cells across, before they are averaged
FEWEST_FACE, FEWEST_ROWS = 40, 8
HUE, LIGHTNESS = 12, 25  # CIELAB units about the face's


def lab(colour: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(np.float32(colour)[None, None], cv2.COLOR_RGB2LAB)[0, 0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", required=True)
    options = parser.parse_args()
    shades, halves, shifts = ({kind: [] for kind in ("arm", "leg")} for _ in range(3))
    people = pictures.read(options.dataset)
    for number in range(len(people["image"])):
        one = {name: of[number] for name, of in people.items()}
        image, labels, seen = one["image"] / np.float32(255), one["segmentation"], one["seen"]
        face = image[labels == ID["face"]]
        if len(face) < FEWEST_FACE:
            continue
        face = np.median(face, 0)
        (body,) = limbs.bodies_of((Layout(None, one["keypoints"], seen),), labels.shape)
        for label, limb in limbs.limbs_of(labels, body).items():
            _, kind, _, joints = next(chain for chain in limbs.CHAINS if chain[2] == label)
            skin = image[labels == label]
            middle = np.median(skin, 0)
            apart = np.abs(lab(middle) - lab(face))
            if not seen[joints].all() or limb.seen.sum() < FEWEST_ROWS or apart[0] > LIGHTNESS or apart[1:].max() > HUE:
                continue
            down, across = limb.place(np.argwhere(labels == label)[:, ::-1].astype(np.float32))
            row = np.clip(down * limbs.BINS, 0, 2 * limbs.BINS - 1).astype(int)
            light = np.log(skin @ LUMA + DARK)
            lit = -np.sign(np.polyfit(across, light, 1)[0])  # 1: on the picture's left
            column = np.clip(across * lit * FINE / 2 + FINE / 2, 0, FINE - 1).astype(int)
            total, count = np.zeros((2, 2 * limbs.BINS, FINE))
            np.add.at(total, (row, column), light - np.median(light))
            np.add.at(count, (row, column), 1)
            shades[kind].append(np.where(count > 0, total / np.maximum(count, 1), np.nan))
            halves[kind].append(np.where(limb.seen, limb.half / body.height, np.nan))
            shifts[kind].append(np.log(middle + DARK) - np.log(face + DARK))
    for kind in shades:
        step = 2 * limbs.BINS // ROWS
        every = np.array(shades[kind])
        count = np.isfinite(every).any(-1).sum(0).reshape(ROWS, step).sum(-1)
        cells = every.reshape(len(every), ROWS, step, COLUMNS, FINE // COLUMNS)
        table = np.nanmedian(cells, (0, 2, 4))
        half = np.array(halves[kind]).reshape(len(every), ROWS, step)
        print(f"{kind}: {len(every)} limbs, rows of them from the first on {count.tolist()}")
        print("shade", np.round(table, 2).tolist())
        print("half a width, median", np.round(np.nanmedian(half, (0, 2)), 4).tolist())
        print("three of five are narrower than", np.round(np.nanpercentile(half, 60, (0, 2)), 4).tolist())
        print("the face's logarithm plus", np.round(np.median(shifts[kind], 0), 3).tolist())


if __name__ == "__main__":
    main()
