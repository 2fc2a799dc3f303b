"""Batches of what `data/guides.py` prepared: examples of the try-on path up to TripleGuidedCNN.

Conventions: as in `data/guides.py`, without its axes of 1 and 2: one of the two target layouts is drawn for an example,
and half of the examples are mirrored. 'guide' [B, H, W] is the layout that was drawn.
"""

from pathlib import Path

import numpy as np

from vton_jax.core import keypoints, segmentation
from vton_jax.core.errors import UserError
from vton_jax.inputs import input_pipeline

BOTH = ("guides", "target_keypoints", "target_visible", "coarse_flow", "first_flow", "first_shown", "mask")
FLOWS = ("coarse_flow", "first_flow", "flow")


def is_folder(dataset: str | Path) -> bool:
    """Whether --dataset names a folder of prepared .npz files."""
    return any(Path(dataset).glob("*.npz"))


def mirror(example: dict) -> dict:
    """Mirrors an example left to right; left and right labels and joints change their names."""
    width = example["guide"].shape[-1]
    out = dict(example)
    for name, value in example.items():
        if name in ("guide", *(f"{part}_segmentation" for part in ("input", "dress", "output"))):
            out[name] = segmentation.mirror(value)
        elif name in FLOWS:
            out[name] = value[:, ::-1] * np.array([-1, 1], value.dtype)
        elif (value.ndim >= 2 and not name.endswith(("_keypoints", "_visible"))) or name == "flow_visible":
            out[name] = value[:, ::-1]
    for who in ("target", "donor"):
        names = f"{who}_keypoints", f"{who}_visible"
        out |= dict(zip(names, keypoints.mirror(example[names[0]], example[names[1]], width), strict=True))
    return out


def open_batches(
    folder: str | Path, batch_size: int, seed: int, size: tuple[int, int], split: str, unused: tuple[str, ...] = ()
) -> input_pipeline.PositionedBatches:
    """Shuffled batches; every twentieth file is the split 'validation'. `unused` names what need not be read.

    Raises UserError where the folder holds no such examples, or examples of another size.
    """
    if not is_folder(folder):
        raise UserError(f"--dataset={folder} holds no prepared examples; make them with python data/guides.py.")
    examples = input_pipeline.prepared_batches(folder, batch_size, seed, split, unused)
    found = examples.batch_at(0)
    if "guides" not in found:
        raise UserError(f"--dataset={folder} holds other examples than those of python data/guides.py.")
    if found["guides"].shape[-2:] != tuple(size):
        raise UserError(f"--dataset={folder} is of {'x'.join(map(str, found['guides'].shape[-2:]))}, not of --size.")
    first, share = input_pipeline.own_rows(batch_size)

    def batch_at(position):
        draws = np.random.default_rng((seed, position)).random((batch_size, 2))[first : first + share]
        batch, rows = examples.batch_at(position), []
        for row, (which, flipped) in enumerate(draws):
            example = {n: a[row][int(which < 0.5)] if n in BOTH else a[row] for n, a in batch.items()}
            example["guide"] = example.pop("guides")
            rows.append(mirror(example) if flipped < 0.5 else example)
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    return input_pipeline.PositionedBatches(batch_at)
