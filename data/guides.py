"""Examples of the try-on path for the networks after the layout: python data/guides.py --output=DIR --count=4800

Draws try-on cases of the training split and takes them, with the released networks, as far as the try-on does before
TripleGuidedCNN: user, donor and pose image are read from pixels, the coarse map is made, and LatentPriorCNN says the
layout. So FlowRefinementCNN and TripleGuidedCNN learn from the layouts, joints and flows that they will meet: once with
the output image itself as the pose image, once with another person's. Run the same command again to go on where it
stopped. An example takes 0.9 MB. With --split=test nobody in them was ever learnt from: for
`python -m vton_jax.evaluate --suite=critic`.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from absl import flags

from vton_jax.command_line import flag_utils
from vton_jax.core import segmentation
from vton_jax.core.errors import UserError
from vton_jax.inputs import input_pipeline, parsing_batches, photo_cases
from vton_jax.systems.lab126 import try_on

FLAGS = flags.FLAGS
flags.DEFINE_string("output", None, "Folder of the examples: one .npz file for every 24 of them.", required=True)
flags.DEFINE_integer("count", 4800, "Examples in all.", lower_bound=1)
flags.DEFINE_integer("first", 0, "Number of the first file; files of other numbers show other people.", lower_bound=0)
flags.DEFINE_string("photos", None, "Prepared dataset of photos with labels, instead of the mannequin's cases.")
flags.DEFINE_enum("split", "train", ("train", "validation", "test"), "Whose people and garments; `test` for scoring.")

CHUNK = 24
SEED = 1_000_000  # of the cases: other people than data/latents.py shows


def chunk_of(system: try_on.TryOn, cases: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Up to `CHUNK` examples [K, 1, ...] of as many cases; what the networks cannot read is left out.

    The axis of two in 'guides' and the like is for the pose image: the output image, and another person's.
    {'input_image', 'dress_image', 'output_image': uint8 [K, 1, H, W, 3]; 'input_segmentation', 'dress_segmentation' (of
    the garment alone) as read, 'output_segmentation', the truth: uint8 [K, 1, H, W]; 'guides': uint8 [K, 1, 2, H, W],
    the target layouts; 'target_keypoints' [K, 1, 2, 18, 2] with 'target_visible', 'donor_keypoints' [K, 1, 18, 2] with
    'donor_visible'; 'coarse_flow', 'first_flow': float16 [K, 1, 2, H/4, W/4, 2], ReMapCNN's and `geometric_flow`'s, in
    pixels there; 'first_shown' bool [K, 1, 2, H/4, W/4]; 'mask': uint8 [K, 1, 2, H, W], ReMapCNN's of 255; 'flow':
    float16 [K, 1, H/4, W/4, 2], the truth, and 'flow_visible' [K, 1, H/4, W/4], the share of each block that it is
    known for; 'garment_type', 'donor_flat': [K, 1]}.
    """
    import jax

    donors, chosen = [], []
    for i in range(len(cases["flat"])):
        kind = segmentation.GARMENT_TYPES[int(cases["garment_type"][i])]
        try:
            donors.append(system.read_donor(cases["donor_image"][i], kind, bool(cases["flat"][i])))
            chosen.append(i)
        except UserError:
            continue
    donors = jax.tree.map(lambda *a: np.stack(a), *donors)
    cases = {name: array[chosen] for name, array in cases.items()}
    users, z_user = system.read_layouts(cases["input_image"])
    poses, z_pose = system.read_layouts(cases["pose_image"])
    outputs, _ = system.read_layouts(cases["output_image"])
    coarse, _ = system.coarse_pairs(users, donors, poses)
    expected = np.concatenate(
        [
            system.expected(
                *(jax.tree.map(lambda a, i=i: a[i : i + 1], part) for part in (coarse, poses, z_user, z_pose))
            )
            for i in range(len(coarse))
        ]
    )
    pairs = lambda a, b: np.stack([a, b], 1)  # noqa: E731
    guides = pairs(outputs.segmentation, expected)
    targets = jax.tree.map(pairs, outputs, poses)
    flows = [system.flows(donors, guides[:, k], targets.keypoints[:, k], targets.visible[:, k]) for k in range(2)]
    flows = {name: pairs(flows[0][name], flows[1][name]) for name in flows[0]}
    visible = blocks(cases["flow_visible"][..., None].astype(np.float32))
    flow = blocks(np.where(cases["flow_visible"][..., None], cases["flow"], 0)) / np.maximum(visible, 1e-6) / 4
    donated = np.stack(
        [
            segmentation.region(labels, segmentation.GARMENT_LABELS[segmentation.GARMENT_TYPES[kind]])
            for labels, kind in zip(donors.layout.segmentation, donors.garment_type, strict=True)
        ]
    )
    examples = {
        "input_image": cases["input_image"],
        "dress_image": np.round(donors.image * 255).astype(np.uint8),
        "output_image": cases["output_image"],
        "input_segmentation": users.segmentation,
        "dress_segmentation": np.where(donated, donors.layout.segmentation, 0).astype(np.uint8),
        "output_segmentation": cases["output_segmentation"],
        "guides": guides,
        "target_keypoints": targets.keypoints,
        "target_visible": targets.visible,
        "donor_keypoints": donors.layout.keypoints,
        "donor_visible": donors.layout.visible,
        "coarse_flow": flows["coarse_flow"].astype(np.float16),
        "first_flow": flows["first_flow"].astype(np.float16),
        "first_shown": flows["first_shown"],
        "mask": np.round(flows["mask"][..., 0] * 255).astype(np.uint8),
        "flow": flow.astype(np.float16),
        "flow_visible": visible[..., 0],
        "garment_type": donors.garment_type.astype(np.int32),
        "donor_flat": donors.flat,
    }
    return {name: array[:, None] for name, array in examples.items()}


def blocks(maps: np.ndarray) -> np.ndarray:
    """Means over blocks of 4x4 pixels: [K, H, W, C] -> [K, H/4, W/4, C]."""
    count, height, width, channels = maps.shape
    return maps.reshape(count, height // 4, 4, width // 4, 4, channels).mean((2, 4))


def main() -> None:
    system = try_on.TryOn("post", parser="photo" if FLAGS.photos else "multi_path")
    if FLAGS.photos:
        photos, labels = parsing_batches.read_photos(FLAGS.photos, FLAGS.split)
        draw = lambda number: photo_cases.draw_cases(photos, labels, CHUNK, system.size, number)  # noqa: E731
    else:
        from vton_jax.mannequin import cases

        draw = lambda number: cases.draw_cases(CHUNK, system.size, SEED, FLAGS.split, first=number * CHUNK)  # noqa: E731
    numbers = range(FLAGS.first, FLAGS.first + -(-FLAGS.count // CHUNK))
    input_pipeline.write_prepared(FLAGS.output, numbers, lambda number: chunk_of(system, draw(number)))


if __name__ == "__main__":
    flag_utils.run(main)
