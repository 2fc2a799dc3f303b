"""Somebody of rectangles for FiNet's tests, and networks of few channels with weights in a folder."""

import jax
import numpy as np
from drawn_params import draw
from quick_kernels import quick_kernels

from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.segmentation import ID
from vton_jax.models import weights
from vton_jax.systems.finet.variants import variant_of, weights_name
from vton_jax.tasks import finet

SIZE = (64, 48)
_JOINTS = {
    "nose": (24, 8), "neck": (24, 14), "left-eye": (26, 7), "right-eye": (22, 7),
    "right-shoulder": (17, 15), "right-elbow": (12, 23), "right-wrist": (9, 30),
    "left-shoulder": (31, 15), "left-elbow": (36, 23), "left-wrist": (39, 30),
    "right-hip": (20, 34), "right-knee": (19, 45), "right-ankle": (18, 56),
    "left-hip": (28, 34), "left-knee": (29, 45), "left-ankle": (30, 56),
}  # fmt: skip
COLOURS = {"hair": (80, 40, 20), "face": (220, 180, 150), "left-arm": (220, 180, 150), "right-arm": (220, 180, 150),
           "upper-clothes": (200, 30, 30), "pants": (30, 30, 120), "left-shoe": (20, 20, 20),
           "right-shoe": (20, 20, 20)}  # fmt: skip


def person(seed: int = 0) -> dict[str, np.ndarray]:
    """A picture of `inputs.outfits`: a red top, blue trousers, black shoes; the seed shifts colours."""
    generator = np.random.default_rng(seed)
    labels = np.zeros(SIZE, np.uint8)
    labels[3:8, 20:28], labels[7:13, 21:28] = ID["hair"], ID["face"]
    labels[22:31, 8:15], labels[22:31, 34:41] = ID["right-arm"], ID["left-arm"]
    labels[13:24, 13:36], labels[24:35, 18:31] = ID["upper-clothes"], ID["upper-clothes"]
    labels[35:55, 17:32] = ID["pants"]
    labels[55:60, 15:22], labels[55:60, 27:34] = ID["right-shoe"], ID["left-shoe"]
    image = generator.integers(90, 160, (*SIZE, 3)).astype(np.uint8)
    for name, colour in COLOURS.items():
        image[labels == ID[name]] = np.clip(np.array(colour) + generator.integers(-20, 20, 3), 0, 255)
    points, visible = np.zeros((18, 2), np.float32), np.zeros(18, bool)
    for name, place in _JOINTS.items():
        points[JOINTS[name]], visible[JOINTS[name]] = place, True
    return {
        "image": image,
        "segmentation": labels,
        "keypoints": points,
        "visible": visible,
        "style": np.int32(seed % 6),
    }


def people(count: int) -> dict[str, np.ndarray]:
    found = [person(seed) for seed in range(count)]
    return {name: np.stack([one[name] for one in found]) for name in found[0]}


def tiny_tasks(variant: str = "full", **settings):
    """The tasks of a variant's stages with networks of few channels and levels."""
    shape = finet.FinetShapeTask().finet_shape.clone(widths=(8,), encoder_widths=(8, 8))
    look = finet.FinetAppearanceTask().finet_appearance.clone(widths=(8,), encoder_widths=(8,))
    made = {
        "shape": finet.FinetShapeTask(shape, SIZE, variant, **settings),
        "appearance": finet.FinetAppearanceTask(look, SIZE, variant, **settings),
    }
    return {stage: made[stage] for stage in variant_of(variant).stages}


def drawn(task) -> dict:
    """Parameters of a task's network by chance."""
    with quick_kernels():
        return draw(jax.eval_shape(lambda: task.init(jax.random.PRNGKey(0), {})))


def write_weights(folder, variant: str = "full") -> None:
    """Untrained weights of a variant."""
    for stage, task in tiny_tasks(variant).items():
        name = f"finet_{stage}"
        weights.save(weights.path_of(weights_name(stage, variant), folder), drawn(task)[name], task.settings)
