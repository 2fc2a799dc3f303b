"""How well near-white garments on a near-white ground are cut out:

    python -m vton_jax.cache_examples --kind=people --split=validation --count=210 --output=DIR
    python benchmarks/reading_flats.py --people=DIR [--masks=VITON] [--output=SHEET.png]

Of --people, drawn examples of the catalogue, every garment that lies alone is bleached: its shades, from the second to
the 98th percentile, become 230 to 255, and what it lies on 246. --masks is a folder in VITON's layout, cloth/ beside
cloth-mask/; masks that cover the whole picture are passed over, and `light` are those garments that are as light on as
light a ground. Prints the IoU of ReaderCNN's mask, as a try-on uses it, as one JSON object: the mean, the worst and the
fraction of at least .93. --output shows the worst.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vton_jax.core import framing
from vton_jax.inputs import drawn_people
from vton_jax.media import photo_files, progress, visualize
from vton_jax.reading.picture_reader import PictureReader

LIGHT, DARK, GROUND = 255, 230, 246
WANTED = 0.93
_SHOWN = 12


def bleached(image: np.ndarray, mask: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A garment uint8 [H, W, 3] with its shades alone, between `DARK` and `LIGHT`, on `GROUND`; a camera's noise."""
    grey = image.astype(np.float32).mean(-1)
    low, high = np.percentile(grey[mask], [2, 98])
    cloth = DARK + (LIGHT - DARK) * np.clip((grey - low) / max(high - low, 1.0), 0, 1)
    shown = np.where(mask, cloth, GROUND)[..., None] + generator.normal(0, 1, image.shape)
    return np.clip(np.rint(shown), 0, 255).astype(np.uint8)


def drawn(folder: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(picture, mask) of every drawn garment that lies alone, bleached."""
    arrays, generator = drawn_people.read(folder, "train"), np.random.default_rng(0)  # the folder's split is its own
    for image, labels in zip(arrays["flat_image"], arrays["flat_segmentation"], strict=True):
        if labels.any():
            yield bleached(image, labels > 0, generator), labels > 0


def photographed(folder: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(picture, mask) of the photos whose mask is one."""
    for path in sorted(Path(folder, "cloth").glob("*")):
        picture = photo_files.read_photo(path)
        mask = photo_files.read_photo(Path(folder, "cloth-mask", path.name)).mean(-1) > 127
        mask = framing.resize(mask.astype(np.uint8), picture.shape[:2], nearest=True) > 0
        if mask.any() and not mask.all():
            yield picture, mask


def is_light(picture: np.ndarray, mask: np.ndarray) -> bool:
    """Whether a garment and its ground are both near white."""
    return min(np.median(picture[here].mean(-1)) for here in (mask, ~mask)) > DARK


def measure(reader: PictureReader, pictures: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple]:
    """(IoU, picture, mask read, true mask), the worst first."""
    found = []
    for picture, true in progress.each(pictures, "picture"):
        mask = reader.read(picture).cut_out
        found.append((float((mask & true).sum() / max((mask | true).sum(), 1)), picture, mask, true))
    return sorted(found, key=lambda one: one[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", help="folder of cached examples of the kind people")
    parser.add_argument("--masks", help="folder with cloth/ and cloth-mask/")
    parser.add_argument("--count", type=int, default=0, help="drawn garments at most (0: all)")
    parser.add_argument("--output", help="PNG file of the worst")
    options = parser.parse_args()
    reader, scores, worst = PictureReader(), {}, []
    sources = {"drawn": list(drawn(options.people))[: options.count or None]} if options.people else {}
    if options.masks:
        sources["photos"] = list(photographed(options.masks))
        sources["light"] = [one for one in sources["photos"] if is_light(*one)]
    for name, pictures in sources.items():
        found = measure(reader, pictures)
        worst += found[:_SHOWN]
        values = np.array([one[0] for one in found])
        scores[name] = {"count": len(values)}
        if len(values):
            scores[name] |= {"iou": round(float(values.mean()), 4), "worst": round(float(values.min()), 4),
                             "good": round(float((values >= WANTED).mean()), 4)}  # fmt: skip
    if options.output:
        rows = [
            [picture, *(np.repeat(255 * np.uint8(m)[..., None], 3, -1) for m in masks)] for _, picture, *masks in worst
        ]
        titles = [f"{one[0]:.2f}" for one in worst]
        sheet = visualize.contact_sheet(rows, titles, ["picture", "mask", "true mask"])
        photo_files.write_image(options.output, sheet)
    print(json.dumps(scores))


if __name__ == "__main__":
    main()
