"""How long flat garments are read: python benchmarks/flat_lengths.py --photos=DIR

DIR holds folders t-shirt, longsleeve, pants, shorts and skirt of photos of flat garments (the training split of the
photos that the catalogue's cloth comes from). Prints how far down arms or legs each kind reaches (0 shoulder or hip, 1
elbow or knee, 2 wrist or ankle), and the length of lower garments over their width at a fifth of it.
"""

import argparse
import random
import sys
from pathlib import Path

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vton_jax.core import framing
from vton_jax.core.errors import UserError
from vton_jax.core.types import Layout
from vton_jax.layout import body_parts
from vton_jax.layout.body import body_of
from vton_jax.media import photo_files
from vton_jax.systems.reader import Reader

KINDS = {"t-shirt": "upper", "longsleeve": "upper", "pants": "lower", "shorts": "lower", "skirt": "lower"}
AT, QUANTILES = 0.2, (0.05, 0.25, 0.5, 0.75, 0.95)


def reach(layout: Layout, arms: bool) -> jax.Array:
    labels = layout.segmentation.astype(np.int32)
    return body_parts.covered_fraction(labels, body_of(layout, labels.shape), labels > 0, arms)


def widths(labels: np.ndarray) -> float:
    """The garment's length over its width at `AT` of it."""
    rows = np.flatnonzero((labels > 0).any(1))
    there = np.flatnonzero(labels[round(rows[0] + AT * (rows[-1] - rows[0]))])
    return (rows[-1] - rows[0] + 1) / (there[-1] - there[0] + 1) if len(there) else np.nan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", required=True)
    parser.add_argument("--num_photos", type=int, default=60, help="of each kind")
    options = parser.parse_args()
    reader, find = Reader(), jax.jit(reach, static_argnums=1)
    for folder, kind in KINDS.items():
        files = sorted((Path(options.photos) / folder).glob("*.jpg"))
        random.Random(5).shuffle(files)
        ends, ratios = [], []
        for file in files[: options.num_photos]:
            try:
                picture = framing.fit(photo_files.read_photo(file), reader.size)[0]
                garment = reader.read_garment(picture, kind, True)
            except UserError:
                continue
            end = float(find(jax.tree.map(np.asarray, garment.layout), kind == "upper"))
            if kind == "upper":
                end = float(np.clip(end, *garment.sleeves))
            ends.append(end)
            ratios.append(widths(np.asarray(garment.layout.segmentation)))
        said = lambda of: np.round(np.nanquantile(of, QUANTILES), 2).tolist()  # noqa: E731
        print(f"{folder}: {len(ends)} read; reach {said(ends)}" + (f", widths {said(ratios)}" * (kind == "lower")))


if __name__ == "__main__":
    main()
