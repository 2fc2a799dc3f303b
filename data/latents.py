"""Examples for LatentPriorCNN: python data/latents.py --output=DIR --count=8000

Draws try-on cases of the training split, reads user, donor and pose by the released networks as the try-on does, and
keeps what the network learns from: the latents of user and pose image, the coarse map's label shares, and the truth,
which is the latent and the layout of the output image. Every example comes with its mirror image. Run the same command
again to go on where it stopped.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from absl import flags

from vton_jax.command_line import flag_utils
from vton_jax.core import segmentation
from vton_jax.core.errors import UserError
from vton_jax.core.types import Layout
from vton_jax.inputs import input_pipeline
from vton_jax.models.latent_prior_cnn import BLOCK
from vton_jax.systems.lab126 import try_on

FLAGS = flags.FLAGS
flags.DEFINE_string("output", None, "Folder of the examples: one .npz file for every 48 of them.", required=True)
flags.DEFINE_integer("count", 8000, "Examples in all, mirrored ones not counted.", lower_bound=1)
flags.DEFINE_integer("first", 0, "Number of the first file; files of other numbers show other people.", lower_bound=0)

CHUNK = 48


def chunk_of(system: try_on.TryOn, number: int) -> dict[str, np.ndarray]:
    """Up to `CHUNK` examples [K, 2, ...], the second of each two mirrored; what the networks cannot read is left out.

    {'z_user', 'z_pose', 'z_output': [K, 2, N]; 'coarse_maps': uint8 [K, 2, H/8, W/8, 18], pixels of each label in
    blocks of 8x8; 'output_segmentation': uint8 [K, 2, H, W]}.
    """
    import jax

    from vton_jax.mannequin import cases as mannequin_cases

    cases = mannequin_cases.draw_cases(CHUNK, system.size, split="train", samples=1, first=number * CHUNK)
    users, z_user = system.read_people(cases["input_image"])
    poses, z_pose = system.read_people(cases["pose_image"])
    z = {"z_user": z_user, "z_pose": z_pose, "z_output": system.latents(cases["output_image"])}
    mirrored = {
        name: system.latents(cases[f"{key}_image"][..., ::-1, :])
        for name, key in (("z_user", "input"), ("z_pose", "pose"), ("z_output", "output"))
    }
    donors, chosen = [], []
    for i in range(CHUNK):
        kind = segmentation.GARMENT_TYPES[int(cases["garment_type"][i])]
        try:
            donors.append(system.read_donor(cases["donor_image"][i], kind, bool(cases["flat"][i])))
            chosen.append(i)
        except UserError:
            continue
    at = lambda layout: Layout(*(a[chosen] for a in (layout.segmentation, layout.keypoints, layout.visible)))  # noqa: E731
    coarse, _ = system.coarse_pairs(at(users), jax.tree.map(lambda *a: np.stack(a), *donors), at(poses))
    pairs = {name: np.stack([z[name], mirrored[name]], 1)[chosen] for name in z}
    both = lambda maps: np.stack([maps, segmentation.mirror(maps)], 1)  # noqa: E731
    return pairs | {
        "coarse_maps": count_labels(both(coarse), BLOCK),
        "output_segmentation": both(cases["output_segmentation"][chosen]),
    }


def count_labels(maps: np.ndarray, block: int) -> np.ndarray:
    """Label maps [..., H, W] -> how many pixels of each label each block holds, uint8 [..., H/block, W/block, 18]."""
    *lead, height, width = maps.shape
    blocks = maps.reshape(*lead, height // block, block, width // block, block)
    counts = [(blocks == label).sum((-3, -1)) for label in range(segmentation.NUM_LABELS)]
    return np.stack(counts, -1).astype(np.uint8)


def main() -> None:
    system = try_on.TryOn("none")
    numbers = range(FLAGS.first, FLAGS.first + -(-FLAGS.count // CHUNK))
    input_pipeline.write_prepared(FLAGS.output, numbers, lambda number: chunk_of(system, number), compressed=True)


if __name__ == "__main__":
    flag_utils.run(main)
