"""Makes cached examples: try-on cases, taken with the released networks as far as what is trained next will meet them.

User, donor and pose image are read from pixels, the coarse map is made, and for `layouts` LayoutRefinementCNN mends it.
The files are those of `inputs.cached_examples`.
"""

from pathlib import Path

import jax
import numpy as np

from vton_jax.core import segmentation
from vton_jax.core.errors import UserError
from vton_jax.core.types import Garment
from vton_jax.inputs import cached_examples
from vton_jax.systems.lab126.target_layouts import TargetLayouts
from vton_jax.systems.reader import Reader
from vton_jax.warping import blending


def write(kind: str, folder: str | Path, numbers: range, split: str = "train", photos: str | None = None) -> None:
    """Writes the files `numbers` of examples of a kind, `layouts` or `latents`; those that are there stay.

    Args: split: whose people and garments. photos: a prepared dataset of photos with labels, instead of the catalogue's
    cases; for `layouts`. Raises: UserError where photos or the folder cannot be used.
    """
    reader = Reader()
    targets = TargetLayouts(reader)
    draw = cached_examples.case_source(kind, reader.size, split, photos)
    if kind == "layouts":
        make = lambda number: layouts(reader, targets, draw(number))  # noqa: E731
    else:
        make = lambda number: latents(reader, targets, draw(number))  # noqa: E731
    cached_examples.write(folder, numbers, make, compressed=kind == "latents")


def layouts(reader: Reader, targets: TargetLayouts, cases: dict) -> dict[str, np.ndarray]:
    """The arrays of a file of `layouts`; cases whose garment is not found are left out."""
    cases, garments = _readable(reader, cases)
    pictures = (cases[f"{name}_image"] for name in ("input", "pose", "output"))
    users, poses, outputs = (reader.pictures.layouts(of) for of in pictures)
    coarse, _ = targets.coarse_pairs(users, garments, poses)
    refined = targets.refined(coarse, users, garments, poses)
    labels = np.asarray(blending.dress_labels(garments)).astype(np.uint8)
    dresses = garments.replace(layout=garments.layout.replace(segmentation=labels))
    both = outputs, poses.replace(segmentation=refined)
    return cached_examples.pack_layouts(cases, users, dresses, both)


def latents(reader: Reader, targets: TargetLayouts, cases: dict) -> dict[str, np.ndarray]:
    """The arrays of a file of `latents`; cases whose garment is not found are left out."""
    cases, garments = _readable(reader, cases)
    users, z_user = reader.read_layouts(cases["input_image"])
    poses, z_pose = reader.read_layouts(cases["pose_image"])
    coarse, _ = targets.coarse_pairs(users, garments, poses)
    found = {"z_user": z_user, "z_pose": z_pose, "z_output": reader.latents(cases["output_image"])}
    mirrored = {
        name: reader.latents(cases[f"{picture}_image"][..., ::-1, :])
        for name, picture in (("z_user", "input"), ("z_pose", "pose"), ("z_output", "output"))
    }
    return cached_examples.pack_latents(found, mirrored, coarse, cases["output_segmentation"])


def _readable(reader: Reader, cases: dict) -> tuple[dict, Garment]:
    """The cases whose garment is found, and these garments [K]; what they are and how they lie is known."""
    garments, chosen = [], []
    for index, (frame, kind, flat) in enumerate(
        zip(cases["donor_image"], cases["garment_type"], cases["flat"], strict=True)
    ):
        try:
            garments.append(reader.read_garment(frame, segmentation.GARMENT_TYPES[int(kind)], bool(flat)))
            chosen.append(index)
        except UserError:
            continue
    return {name: array[chosen] for name, array in cases.items()}, jax.tree.map(lambda *a: np.stack(a), *garments)
