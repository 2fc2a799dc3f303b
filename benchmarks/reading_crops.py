"""How ReaderCNN reads photos that end early: python benchmarks/reading_crops.py --data=CCP

Cuts every validation photo of Clothing Co-Parsing (its number ends in 3) a little below the hips or at the chest, where
its joints were read in the whole photo, and prints the IoU of `evaluate.ccp_parsing` for each cut, as one JSON object.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vton_jax.core import keypoints, label_tables
from vton_jax.evaluate import ccp_parsing, metrics
from vton_jax.inputs import ccp
from vton_jax.media import progress
from vton_jax.reading.picture_reader import PictureReader

# Below the shoulders, in lengths from them to the hips.
CUTS = {"hips": 1.1, "chest": 0.6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder of Clothing Co-Parsing")
    parser.add_argument("--count", type=int, default=0, help="photos at most (0: all)")
    options = parser.parse_args()
    numbers = [number for number in ccp.numbers(options.data) if ccp.is_validation(number)]
    numbers = numbers[: options.count] if options.count else numbers
    reader, classes = PictureReader(), len(label_tables.CCP_MERGED_LABELS)
    found = {name: np.zeros((classes, classes + 1), np.int64) for name in CUTS}
    for number in progress.each(numbers, "photo"):
        photo, ids = ccp.read(options.data, number)
        points = reader.read(photo, thorough=False).keypoints
        rows = (points[[keypoints.ID[f"{side}-{name}"] for side in ("left", "right")], 1].mean()
                for name in ("shoulder", "hip"))  # fmt: skip
        shoulders, hips = rows
        for name, length in CUTS.items():
            height = int(np.clip(shoulders + length * (hips - shoulders), 100, len(photo)))
            labels = reader.read(photo[:height]).segmentation
            truth = label_tables.CCP_MERGED_FROM_CCP[ids[:height]]
            found[name] += metrics.confusion(label_tables.CCP_MERGED_FROM_LABEL[labels], truth, classes)
    kept = ("iou_person", "iou_clothes", "iou_skin", "iou_hair", "miou")
    scores = {name: ccp_parsing.merged_scores(matrix) for name, matrix in found.items()}
    print(json.dumps({name: {key: round(of[key], 4) for key in kept} for name, of in scores.items()}))


if __name__ == "__main__":
    main()
