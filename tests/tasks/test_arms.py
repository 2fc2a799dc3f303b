"""An arm is described once: training and inference make the same picture with the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick_kernels import quick_kernels

from vton_jax.core import keypoints, segmentation
from vton_jax.core.types import Garment, Layout, User
from vton_jax.models import weights
from vton_jax.models.re_map_cnn import ReMapCNN
from vton_jax.models.triple_guided_cnn import TripleGuidedCNN
from vton_jax.systems.lab126.arms import ARMS
from vton_jax.systems.lab126.painter import Painter
from vton_jax.systems.options import ARM_NAMES
from vton_jax.tasks.modules import settings_of
from vton_jax.tasks.re_map import re_map_params
from vton_jax.tasks.triple_guided import TRAINED, TripleGuidedTask

SIZE, COUNT, WIDTHS = (64, 64), 2, (8,)
RE_MAP = ReMapCNN(widths=WIDTHS)
UPPER = segmentation.ID["upper-clothes"]


@pytest.fixture(scope="module")
def people():
    """Two users, two donors and two targets of random labels, with a garment in their middle."""
    generator = np.random.default_rng(0)

    def layouts():
        labels = generator.integers(0, segmentation.NUM_LABELS, (COUNT, *SIZE)).astype(np.uint8)
        labels[:, 20:44, 12:36] = UPPER
        points = generator.random((COUNT, keypoints.NUM_JOINTS, 2)).astype(np.float32) * SIZE[::-1]
        return Layout(labels, points, generator.random((COUNT, keypoints.NUM_JOINTS)) < 0.9)

    images = generator.random((2, COUNT, *SIZE, 3)).astype(np.float32)
    donor = layouts()
    garment = Garment(
        image=np.where((donor.segmentation == UPPER)[..., None], images[1], np.float32(1)),
        layout=donor.replace(
            segmentation=np.where(donor.segmentation == UPPER, donor.segmentation, 0).astype(np.uint8)
        ),
        garment_type=np.zeros(COUNT, np.int32),
        flat=np.zeros(COUNT, bool),
    )
    return User(images[0], layouts(), None, None), garment, layouts()


@pytest.fixture(scope="module")
@quick_kernels()
def folder(tmp_path_factory):
    """Small networks with random weights, each arm's own, as they are released."""
    place = tmp_path_factory.mktemp("weights")
    generator = np.random.default_rng(1)

    def noisy(params):
        """Last layers begin near zero: with noise, flows and masks differ from place to place."""
        return jax.tree.map(lambda a: a + 0.05 * generator.normal(size=a.shape).astype(np.float32), params)

    def save(name, model, network, params):
        settings = {"model": model} | settings_of(network, SIZE)
        weights.save(place / f"{name}.safetensors", noisy(params), settings)

    image, maps = jnp.zeros((1, *SIZE, 3)), jnp.zeros((1, *SIZE, segmentation.NUM_LABELS))
    triple, re_map = TripleGuidedCNN(widths=WIDTHS), RE_MAP
    key = jax.random.PRNGKey(1)
    params = jax.jit(triple.init)(key, image, image, maps, maps, maps)
    for name in TRAINED:
        save(f"triple_guided_cnn_{name}", "triple_guided_cnn", triple, params)
    for name in ("re_map_cnn", "re_map_cnn_joint"):
        save(name, "re_map_cnn", re_map, re_map_params(re_map, key, SIZE))
    return place


@pytest.mark.parametrize("name", TRAINED)
def test_training_and_inference_make_the_same_picture(name, people, folder):
    user, garment, target = people
    painter = Painter(name, SIZE, folder)
    shown = painter.dress(user, garment, target).image
    batch = {
        "input_image": user.image * 255,
        "input_segmentation": user.layout.segmentation,
        "dress_image": garment.image * 255,
        "dress_segmentation": garment.layout.segmentation,
        "donor_keypoints": garment.layout.keypoints,
        "donor_visible": garment.layout.visible,
        "garment_type": garment.garment_type,
        "guide": target.segmentation,
        "target_keypoints": target.keypoints,
        "target_visible": target.visible,
        "output_image": user.image * 255,
        "output_segmentation": target.segmentation,
    }
    task = TripleGuidedTask(
        triple_guided_cnn=TripleGuidedCNN(widths=WIDTHS),
        re_map_cnn=RE_MAP,
        size=SIZE,
        arm=name,
        init_from=str(folder / f"triple_guided_cnn_{name}.safetensors"),
        re_map_weights=str(folder / f"re_map_cnn{'_joint' * (name == 'joint')}.safetensors"),
    )
    key = jax.random.PRNGKey(0)
    params, frozen = task.init(key, batch), task.frozen()
    _, out, _ = jax.jit(task._run)(params, frozen, batch, key)
    assert np.ptp(shown) > 0.1
    np.testing.assert_allclose(np.clip(out["image"], 0, 1), shown, atol=1e-4)


def test_arms_differ_as_the_table_says(people, folder):
    """`post` paints as `none` does and lays the dress over it."""
    user, garment, target = people
    images = {name: Painter(name, SIZE, folder).dress(user, garment, target).image for name in ARMS}
    inside = segmentation.region(target.segmentation, segmentation.TARGET_LABELS["upper"])
    np.testing.assert_allclose(images["post"][~inside], images["none"][~inside], atol=1e-5)
    assert np.abs(images["post"] - images["none"])[inside].mean() > 1e-3
    assert np.abs(images["pre"] - images["joint"]).mean() > 1e-3
    assert tuple(ARMS) == ARM_NAMES and set(TRAINED) == {"none", "pre", "joint"}
