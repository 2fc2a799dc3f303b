"""ReaderCNN: what it costs, what its outputs mean, and what its loss counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn_params import drawn_params

from vton_jax.core import keypoints, segmentation
from vton_jax.models import reader_cnn

SIZE = (64, 64)
SMALL = {"widths": (8, 8, 8, 8, 8), "hidden": 16}


def outputs(count: int = 2, seed: int = 0) -> dict:
    """Outputs by chance."""
    generator = np.random.default_rng(seed)
    random = lambda *shape: generator.normal(size=(count, *shape)).astype(np.float32)  # noqa: E731
    return {
        "segmentation": random(*SIZE, 18), "joints": random(16, 16, 18), "outside": random(18), "places": random(18, 2),
        "seen": random(18), "kind": random(3), "garment_type": random(3), "sleeves": random(4), "facing": random(2),
    }  # fmt: skip


def truth(count: int = 2, seed: int = 1, **changes) -> reader_cnn.Truth:
    """People of whom all is known, whose joints lie in the picture and a little beyond it."""
    generator = np.random.default_rng(seed)
    turn = generator.uniform(0, 2 * np.pi, count)
    return reader_cnn.Truth(**{
        "segmentation": generator.integers(0, 18, (count, *SIZE)).astype(np.uint8),
        "keypoints": generator.uniform(-20, 84, (count, 18, 2)).astype(np.float32),
        "known": np.ones((count, 18), bool), "seen": generator.random((count, 18)) < 0.5,
        "kind": generator.integers(0, 3, count), "garment_type": generator.integers(0, 3, count),
        "sleeves": generator.integers(0, 4, count),
        "facing": np.stack([np.sin(turn), np.cos(turn)], -1).astype(np.float32),
    } | changes)  # fmt: skip


loss = jax.jit(reader_cnn.loss)


@jax.jit
@jax.grad
def gradient_of(found: dict, true: reader_cnn.Truth) -> jax.Array:
    """The gradient of the weighted loss in the outputs."""
    terms = reader_cnn.loss(found, true)
    return sum(weight * terms[name] for name, weight in reader_cnn.LOSS_WEIGHTS.items())


@jax.jit
def perfect(true: reader_cnn.Truth) -> dict:
    """Outputs that say the truth."""
    sure = 20.0
    inside = ((true.keypoints >= -0.5) & (true.keypoints < 63.5)).all(-1)
    points = keypoints.scale(true.keypoints, SIZE, (16, 16))
    bumps = keypoints.pose_map(points, inside, (16, 16), reader_cnn.SIGMA)
    certainly = lambda classes, count: sure * jax.nn.one_hot(classes, count)  # noqa: E731
    return {
        "segmentation": certainly(true.segmentation, 18), "joints": jnp.log(bumps + 1e-9),
        "outside": jnp.where(inside, -sure, sure), "places": jnp.clip(true.keypoints / 64, -1, 2),
        "seen": jnp.where(true.seen, sure, -sure), "kind": certainly(true.kind, 3),
        "garment_type": certainly(true.garment_type, 3), "sleeves": certainly(true.sleeves, 4), "facing": true.facing,
    }  # fmt: skip


# --- the network -----------------------------------------------------------------------------------------------------


def test_it_costs_less_than_a_thousand_million_multiplications():
    network = reader_cnn.ReaderCNN()
    image = jax.ShapeDtypeStruct((1, 256, 192, 3), jnp.float32)
    params = jax.eval_shape(network.init, jax.random.PRNGKey(0), image)
    cost = jax.jit(network.apply).lower(params, image).cost_analysis()
    assert 0.5e9 < cost["flops"] / 2 <= 1e9


@pytest.fixture(scope="module")
def run():
    """A small network's outputs for images and their mirror images, the mean of both."""
    network = reader_cnn.ReaderCNN(**SMALL)
    params = drawn_params(network, np.zeros((2, *SIZE, 3), np.float32))
    return jax.jit(lambda images: reader_cnn.with_mirror_images(network.apply(params, images)))


def test_the_mean_with_the_mirror_image_is_mirrored_with_the_picture(run):
    image = np.random.default_rng(0).random((1, *SIZE, 3)).astype(np.float32)
    both = np.concatenate([image, image[:, :, ::-1]])
    straight, mirrored = (jax.device_get(run(a)) for a in (both, both[::-1]))
    swapped = {
        "segmentation": mirrored["segmentation"][:, :, ::-1][..., segmentation.MIRROR],
        "joints": mirrored["joints"][:, :, ::-1][..., keypoints.MIRROR],
        "facing": mirrored["facing"] * [-1, 1],
    } | {name: mirrored[name][:, keypoints.MIRROR] for name in ("outside", "seen")}
    places = mirrored["places"][:, keypoints.MIRROR] * 64
    swapped["places"] = np.stack([63 - places[..., 0], places[..., 1]], -1) / 64  # pixels, as `keypoints.mirror` has it
    for name, array in straight.items():
        np.testing.assert_allclose(array, swapped.get(name, mirrored[name]), atol=1e-5, err_msg=name)
    assert np.abs(straight["facing"]).max() > 1e-4


def test_read_finds_the_peak_and_beyond_the_picture_the_place():
    found = outputs(1)
    found["joints"] = np.zeros((1, 16, 16, 18), np.float32)
    found["joints"][0, 5, 11:13] = 12
    found["outside"], found["places"] = np.full((1, 18), -9, np.float32), np.full((1, 18, 2), 0.5, np.float32)
    found["outside"][0, 3], found["places"][0, 3] = 20, (1.25, -0.5)
    read = jax.device_get(jax.jit(lambda found: reader_cnn.read(found, SIZE))(found))
    np.testing.assert_allclose(read.keypoints[0, 0], [4 * (11.5 + 0.5) - 0.5, 4 * 5.5 - 0.5], atol=0.1)
    np.testing.assert_allclose(read.keypoints[0, 3], [80, -32], atol=1e-4)
    assert read.inside[0, 0] > 0.99 and read.inside[0, 3] < 0.01
    for name in ("labels", "kind", "garment_type", "sleeves"):
        np.testing.assert_allclose(getattr(read, name).sum(-1), 1, atol=1e-5)


# --- the loss --------------------------------------------------------------------------------------------------------


def test_the_loss_is_lowest_at_the_truth():
    true = truth()
    best = loss(perfect(true), true)
    assert best.keys() == reader_cnn.LOSS_WEIGHTS.keys()
    for name, value in best.items():
        # A target as wide as a bump keeps its entropy; a square root its smallest value.
        assert value < {"joints": 2.0, "places": 0.011}.get(name, 0.02), name
    for seed in range(3):
        other = loss(outputs(seed=seed), true)
        assert all(other[name] > best[name] + 0.1 for name in best)


def test_joints_in_the_wrong_place_cost_more_the_farther_away_they_are_told():
    true = truth()
    moved = lambda step: perfect(true) | {"places": np.float32(true.keypoints / 64 + step)}  # noqa: E731
    apart = [loss(moved(step), true)["places"] for step in (0.1, 0.4)]
    assert 0.1 < apart[0] < apart[1]
    far = true.replace(keypoints=np.full((2, 18, 2), 900, np.float32))  # as good as twice the picture away
    assert loss(perfect(far), far)["places"] < 0.02


def test_what_nobody_knows_counts_for_nothing():
    """Row 1 is known in nothing: no gradient reaches its outputs, and the values are those of row 0 alone."""
    unknown = np.array([False, True])
    true = truth()
    classes = {name: getattr(true, name) for name in ("kind", "garment_type", "sleeves")}
    bare = true.replace(
        segmentation=np.where(unknown[:, None, None], segmentation.UNKNOWN, true.segmentation).astype(np.uint8),
        known=true.known & ~unknown[:, None], facing=np.where(unknown[:, None], np.float32(0), true.facing),
        **{name: np.where(unknown, reader_cnn.UNKNOWN, array) for name, array in classes.items()},
    )  # fmt: skip
    found = outputs()
    gradient = jax.device_get(gradient_of(found, bare))
    for name, array in gradient.items():
        assert not array[1].any() and array[0].any(), name
    first = jax.tree.map(lambda a: a[:1], (found, true))
    alone, both = loss(*first), loss(found, bare)
    for name, value in alone.items():
        np.testing.assert_allclose(both[name], value, rtol=1e-5, err_msg=name)


def test_parts_that_nobody_knows_count_for_nothing():
    true = truth()
    half = true.replace(segmentation=true.segmentation.copy(), known=true.known.copy())
    half.segmentation[:, :32], half.known[:, :9] = segmentation.UNKNOWN, False
    gradient = jax.device_get(gradient_of(outputs(), half))
    assert not gradient["segmentation"][:, :32].any() and gradient["segmentation"][:, 32:].any()
    for name in ("outside", "places", "seen"):
        assert not gradient[name][:, :9].any() and gradient[name][:, 9:].any(), name
    assert not gradient["joints"][..., :9].any()


def test_whether_a_joint_is_in_sight_is_asked_within_the_picture_alone():
    true = truth()
    beyond = true.replace(keypoints=np.full((2, 18, 2), -9, np.float32))
    gradient = jax.device_get(gradient_of(outputs(), beyond))
    assert not gradient["seen"].any() and gradient["outside"].any() and gradient["places"].any()
