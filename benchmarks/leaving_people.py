"""From when on somebody who leaves a picture at a side is misread: python benchmarks/leaving_people.py --people=DIR

DIR is a folder of `python -m vton_jax.cache_examples --kind=people --split=validation`. Drawn people are moved out at
the nearer side until only a part of their width is seen, and read once, as a clip's frames are. Prints for each part
how far joints within the picture lie from the truth, in heights of the person (median and 90th percentile), and the
fraction of people of whom half the joints lie farther off than a twentieth. Then how wide people are in their poses, by
their usual width for their height: who turns aside does not leave. By both `reading.clip_following.Limits.leaving` is
chosen.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vton_jax.inputs import drawn_people
from vton_jax.reading.picture_reader import PictureReader, box_of

PARTS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)
QUANTILES = (1, 5, 10, 25, 50)
_ASTRAY = 0.05  # heights
_LEAST = 3  # joints in the picture of whom an error is told


def moved(image: np.ndarray, box: np.ndarray, part: float) -> tuple[np.ndarray, int]:
    """A picture moved aside until `part` of a box's width is within it, and by how many pixels; its edge goes on."""
    width = image.shape[1]
    left, right = box[0], box[2]
    out = (1 - part) * (right - left)
    if part == 1:
        shift = 0
    elif left < width - right:
        shift = -round(left + out)
    else:
        shift = round(width - right + out)
    columns = np.clip(np.arange(width) - shift, 0, width - 1)
    return image[:, columns], shift


def errors_at(reader: PictureReader, people: list[dict], part: float) -> list[np.ndarray]:
    """Distances of the joints in the picture from the truth, in heights, of every person."""
    views = [moved(one["image"], one["box"], part) for one in people]
    found, each = reader.frames(np.stack([view for view, _ in views])), []
    for index, (one, (view, shift)) in enumerate(zip(people, views, strict=True)):
        true = one["keypoints"] + [shift, 0]
        there = one["visible"] & (true[:, 0] >= 0) & (true[:, 0] <= view.shape[1] - 1)
        if there.sum() >= _LEAST:
            height = one["box"][3] - one["box"][1]
            each.append(np.linalg.norm(found.keypoints[index] - true, axis=-1)[there] / height)
    return each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", required=True, help="folder of cached examples of the kind people")
    parser.add_argument("--count", type=int, default=60, help="people who are moved")
    options = parser.parse_args()
    arrays, people = drawn_people.read(options.people, "train"), []  # the folder's split is its own
    usual: dict[int, list[float]] = {}
    for number in range(len(arrays["garment_type"])):
        for shot in ("input", "output"):
            one = {name: arrays[f"{shot}_{name}"][number] for name in ("image", "segmentation", "keypoints", "visible")}
            one["box"] = box = box_of(one["segmentation"] > 0)
            height, width = one["segmentation"].shape
            if box is None or box[0] < 2 or box[2] > width - 2 or box[1] < 2 or box[3] > height - 2:
                continue
            people.append(one)
            usual.setdefault(number // 15, []).append((box[2] - box[0]) / (box[3] - box[1]))  # 15 show one user
    reader = PictureReader()
    chosen = people[:: max(1, len(people) // options.count)][: options.count]
    print(f"{len(chosen)} people")
    for part in PARTS:
        each = errors_at(reader, chosen, part)
        together, astray = np.concatenate(each), np.mean([np.median(one) > _ASTRAY for one in each])
        middle, most = np.percentile(together, [50, 90])
        print(f"{part:.1f} of the width seen: median {middle:.3f}, 90th percentile {most:.3f}, astray {astray:.2f}")
    widths = np.concatenate([np.array(of) / np.median(of) for of in usual.values() if len(of) > 4])
    told = zip(QUANTILES, np.percentile(widths, QUANTILES), strict=True)
    narrow = ", ".join(f"{quantile}% below {value:.2f}" for quantile, value in told)
    print(f"widths of {len(widths)} poses over the usual one: {narrow}")


if __name__ == "__main__":
    main()
