"""Makes cached examples of the kind `coarse`: coarse maps as a try-on makes them, and what they should have been.

Users, pose images and garments are read from pixels; the truth is the catalogue's (`catalogue.changes`). The files are
those of `inputs.cached_examples`.
"""

from pathlib import Path

import jax
import numpy as np

from vton_jax.core import segmentation
from vton_jax.core.batching import spread
from vton_jax.core.errors import UserError
from vton_jax.core.types import Garment, Layout
from vton_jax.inputs import cached_examples
from vton_jax.systems.lab126.target_layouts import TargetLayouts
from vton_jax.systems.reader import Reader
from vton_jax.warping import blending


def write(folder: str | Path, numbers: range, split: str = "train", grounds: str | None = None) -> None:
    """Writes the files `numbers`; those that are there stay.

    Args: split: whose people and garments. grounds: a folder of places without people. Raises: UserError where it, or
    `folder`, cannot be used.
    """
    reader = Reader()
    targets, draw = TargetLayouts(reader), cached_examples.change_source(reader.size, split, grounds)

    def make(number: int) -> dict[str, np.ndarray]:
        found = [part for change in draw(number) for part in examples_of(reader, targets, change)]
        return jax.tree.map(lambda *a: np.concatenate(a)[:, None], *found)

    cached_examples.write(folder, numbers, make, compressed=True)


def examples_of(reader: Reader, targets: TargetLayouts, change) -> list[dict[str, np.ndarray]]:
    """The arrays [TARGETS, ...] of a `catalogue.changes.Change`, with the donor, with the garment laid flat, and with
    the users' own clothes; what is not found is left out.
    """
    users, poses = (reader.pictures.layouts(pictures) for pictures in (change.users, change.poses))
    found = []
    for picture, flat in ((change.worn, False), (change.flat, True)):
        if picture is None:
            continue
        try:
            garment = reader.read_garment(picture, change.kind, flat, thorough=False)
        except UserError:
            continue
        found.append(_example(targets, users, spread(garment, len(change.users)), poses, change.truth))
    others = jax.tree.map(lambda a: a[::-1], users)
    found.append(_example(targets, others, _own_garments(others), poses, change.kept))
    return found


def _own_garments(users: Layout) -> Garment:
    """`garments.own_garment` of layouts [B]; of the pictures nothing is needed."""
    count = len(users.segmentation)
    outfit = np.full(count, segmentation.GARMENT_TYPES.index("outfit"), np.int32)
    return Garment(image=None, layout=users, garment_type=outfit, flat=np.zeros(count, bool))


def _example(
    targets: TargetLayouts, users: Layout, garments: Garment, poses: Layout, truth: np.ndarray
) -> dict[str, np.ndarray]:
    coarse, _ = targets.coarse_pairs(users, garments, poses)
    labels = np.asarray(blending.dress_labels(garments)).astype(np.uint8)
    dress = Layout(labels, garments.layout.keypoints, garments.layout.visible)
    layouts = {"user": users, "pose": poses, "dress": dress}
    return (
        {"coarse": coarse, "truth": truth, "garment_type": np.asarray(garments.garment_type, np.int32)}
        | {f"{name}_labels": cached_examples.every_second(of.segmentation) for name, of in layouts.items()}
        | {f"{name}_keypoints": np.float32(of.keypoints) for name, of in layouts.items() if name != "user"}
        | {f"{name}_visible": np.asarray(of.visible) for name, of in layouts.items() if name != "user"}
    )
