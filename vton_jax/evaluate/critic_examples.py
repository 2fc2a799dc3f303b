"""The examples of the suite `critic`: cached ones of the kind `layouts`, as far as the layout on the try-on path, with
another person's pose image; here every arm dresses them. Nobody appears in the examples of two files.
"""

import jax
import numpy as np

from vton_jax.core.errors import WrongOption
from vton_jax.core.framing import to_float
from vton_jax.core.types import Garment, Layout, User
from vton_jax.evaluate import report
from vton_jax.inputs import cached_examples
from vton_jax.media import visualize
from vton_jax.systems.lab126.system import Lab126

OTHER_POSE = 1  # of the axis of two: the pose image shows another person
_USED = (
    *("input_image", "dress_image", "output_image", "input_segmentation", "dress_segmentation", "guides"),
    *("target_keypoints", "target_visible", "donor_keypoints", "donor_visible", "garment_type", "donor_flat"),
)
# No critic learns from every fourth file: its people are those that it is tried on.
HELD_OUT = 4
_COMMAND = f"{cached_examples.COMMAND} --kind=layouts"
_CHUNK = 48  # examples between two lines of progress


def read_examples(folder: str, count: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Cached examples of whole files, at least `count` where there are as many.

    Returns ({name: [N, ...]}, bool [N]: held out). Raises UserError for a folder without such examples, a damaged file,
    fewer files than a split needs, and where a frame is on both sides, as in examples of photos.
    """
    if not cached_examples.is_folder(folder):
        raise WrongOption("data", folder, f"holds no cached examples; make them with {_COMMAND}.")
    parts, held_out = [], []
    for number, path in enumerate(cached_examples.files_of(folder)):
        if sum(map(len, held_out)) >= count:
            break
        part = {name: a[:, 0] for name, a in cached_examples.read_file(path, _USED).items()}
        parts.append({name: a[:, OTHER_POSE] if name in cached_examples.BOTH else a for name, a in part.items()})
        held_out.append(np.full(len(part["guides"]), number % HELD_OUT == HELD_OUT - 1))
    if len(parts) < HELD_OUT:
        why = (
            f"has {len(parts)} files for the examples asked for; every {HELD_OUT}th is held out, so at least "
            f"{HELD_OUT} are needed: a larger num_examples, or more of {_COMMAND}."
        )
        raise WrongOption("data", folder, why)
    examples = {name: np.concatenate([part[name] for part in parts]) for name in _USED}
    unseen = np.concatenate(held_out)
    sides = [{image.tobytes() for image in examples["output_image"][unseen == side]} for side in (False, True)]
    if sides[0] & sides[1]:
        raise WrongOption("data", folder, "shows the same photos in several files; make examples of the catalogue.")
    return examples, unseen


def dress(system: Lab126, examples: dict[str, np.ndarray]) -> np.ndarray:
    """What an arm makes of examples: uint8 [N, H, W, 3], as it would be saved."""
    joints = examples["donor_keypoints"], examples["donor_visible"]
    garments = Garment(
        image=to_float(examples["dress_image"]),
        layout=Layout(examples["dress_segmentation"], *joints),
        garment_type=examples["garment_type"],
        flat=examples["donor_flat"],
    )
    # Of the user, arms see the photo and its labels alone.
    unseen = Layout(examples["input_segmentation"], *jax.tree.map(np.zeros_like, joints))
    users = User(image=to_float(examples["input_image"]), layout=unseen, latent=None, shown=None)
    targets = Layout(examples["guides"], examples["target_keypoints"], examples["target_visible"])
    return visualize.to_uint8(system.painter.dress(users, garments, targets).image)


def dress_all(systems: dict[str, Lab126], examples: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """{'real': the true frames, arm: what it makes of the examples}."""
    pictures = {"real": examples["output_image"]} | {arm: [] for arm in systems}
    count = len(examples["guides"])
    for first in range(0, count, _CHUNK):
        part = {name: array[first : first + _CHUNK] for name, array in examples.items()}
        for arm, system in systems.items():
            pictures[arm].append(dress(system, part))
        report.say(f"dressed {min(first + _CHUNK, count)} of {count} examples in {len(systems)} arms")
    return pictures | {arm: np.concatenate(pictures[arm]) for arm in systems}
