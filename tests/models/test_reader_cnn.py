"""ReaderCNN: what it costs, what its outputs mean, and what its loss counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick_kernels import quick_kernels

from vton_jax.core import keypoints, segmentation
from vton_jax.models import reader_cnn

SIZE = (64, 64)
SMALL = {"widths": (8, 8, 8, 8, 8), "hidden": 16}


def outputs(count: int = 2, seed: int = 0) -> dict:
    """Outputs by chance."""
    generator = np.random.default_rng(seed)
    random = lambda *shape: jnp.asarray(generator.normal(size=(count, *shape)), jnp.float32)  # noqa: E731
    return {
        "segmentation": random(*SIZE, 18), "joints": random(16, 16, 18), "outside": random(18), "places": random(18, 2),
        "seen": random(18), "kind": random(3), "garment_type": random(3), "sleeves": random(4), "facing": random(2),
    }  # fmt: skip


def truth(count: int = 2, seed: int = 1, **changes) -> reader_cnn.Truth:
    """People of whom all is known, whose joints lie in the picture and a little beyond it."""
    generator = np.random.default_rng(seed)
    turn = generator.uniform(0, 2 * np.pi, count)
    return reader_cnn.Truth(**{
        "segmentation": jnp.asarray(generator.integers(0, 18, (count, *SIZE)), jnp.uint8),
        "keypoints": jnp.asarray(generator.uniform(-20, 84, (count, 18, 2)), jnp.float32),
        "known": jnp.ones((count, 18), bool), "seen": jnp.asarray(generator.random((count, 18)) < 0.5),
        "kind": jnp.asarray(generator.integers(0, 3, count)),
        "garment_type": jnp.asarray(generator.integers(0, 3, count)),
        "sleeves": jnp.asarray(generator.integers(0, 4, count)),
        "facing": jnp.asarray(np.stack([np.sin(turn), np.cos(turn)], -1), jnp.float32),
    } | changes)  # fmt: skip


def total(found: dict, true: reader_cnn.Truth) -> jax.Array:
    return sum(weight * reader_cnn.loss(found, true)[name] for name, weight in reader_cnn.LOSS_WEIGHTS.items())


def perfect(true: reader_cnn.Truth, sure: float = 20.0) -> dict:
    """Outputs that say the truth."""
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
@quick_kernels()
def run():
    """A small network's outputs for images."""
    network = reader_cnn.ReaderCNN(**SMALL)
    params = jax.jit(network.init)(jax.random.PRNGKey(0), jnp.zeros((2, *SIZE, 3)))
    return jax.jit(lambda images: network.apply(params, images))


def test_the_mean_with_the_mirror_image_is_mirrored_with_the_picture(run):
    image = jnp.asarray(np.random.default_rng(0).random((1, *SIZE, 3)), jnp.float32)
    both = jnp.concatenate([image, image[:, :, ::-1]])
    straight, mirrored = (jax.device_get(reader_cnn.with_mirror_images(run(a))) for a in (both, both[::-1]))
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
    found["joints"] = jnp.zeros((1, 16, 16, 18)).at[0, 5, 11].set(12.0).at[0, 5, 12].set(12.0)
    found["outside"] = jnp.full((1, 18), -9.0).at[0, 3].set(20.0)
    found["places"] = jnp.full((1, 18, 2), 0.5).at[0, 3].set(jnp.array([1.25, -0.5]))
    read = reader_cnn.read(found, SIZE)
    np.testing.assert_allclose(read.keypoints[0, 0], [4 * (11.5 + 0.5) - 0.5, 4 * 5.5 - 0.5], atol=0.1)
    np.testing.assert_allclose(read.keypoints[0, 3], [80, -32], atol=1e-4)
    assert read.inside[0, 0] > 0.99 and read.inside[0, 3] < 0.01
    for name in ("labels", "kind", "garment_type", "sleeves"):
        np.testing.assert_allclose(getattr(read, name).sum(-1), 1, atol=1e-5)


# --- the loss --------------------------------------------------------------------------------------------------------


def test_the_loss_is_lowest_at_the_truth():
    true = truth()
    best = reader_cnn.loss(perfect(true), true)
    assert best.keys() == reader_cnn.LOSS_WEIGHTS.keys()
    for name, value in best.items():
        # A target as wide as a bump keeps its entropy; a square root its smallest value.
        assert value < {"joints": 2.0, "places": 0.011}.get(name, 0.02), name
    for seed in range(3):
        other = reader_cnn.loss(outputs(seed=seed), true)
        assert all(other[name] > best[name] + 0.1 for name in best)


def test_joints_in_the_wrong_place_cost_more_the_farther_away_they_are_told():
    true = truth()
    moved = lambda step: perfect(true) | {"places": true.keypoints / 64 + step}  # noqa: E731
    apart = [reader_cnn.loss(moved(step), true)["places"] for step in (0.1, 0.4)]
    assert 0.1 < apart[0] < apart[1]
    far = true.replace(keypoints=jnp.full((2, 18, 2), 900.0))  # as good as twice the picture away
    assert reader_cnn.loss(perfect(far), far)["places"] < 0.02


def test_what_nobody_knows_counts_for_nothing():
    """Row 1 is known in nothing: no gradient reaches its outputs, and the values are those of row 0 alone."""
    unknown = jnp.array([False, True])
    true = truth()
    classes = {name: getattr(true, name) for name in ("kind", "garment_type", "sleeves")}
    bare = true.replace(
        segmentation=jnp.where(unknown[:, None, None], segmentation.UNKNOWN, true.segmentation).astype(jnp.uint8),
        known=true.known & ~unknown[:, None], facing=jnp.where(unknown[:, None], 0, true.facing),
        **{name: jnp.where(unknown, reader_cnn.UNKNOWN, array) for name, array in classes.items()},
    )  # fmt: skip
    found = outputs()
    gradient = jax.jit(jax.grad(total))(found, bare)
    for name, array in gradient.items():
        assert not array[1].any() and array[0].any(), name
    first = jax.tree.map(lambda a: a[:1], (found, true))
    alone, both = reader_cnn.loss(*first), reader_cnn.loss(found, bare)
    for name, value in alone.items():
        np.testing.assert_allclose(both[name], value, rtol=1e-5, err_msg=name)


def test_parts_that_nobody_knows_count_for_nothing():
    true = truth()
    half = true.replace(
        segmentation=true.segmentation.at[:, :32].set(segmentation.UNKNOWN), known=true.known.at[:, :9].set(False)
    )
    gradient = jax.jit(jax.grad(total))(outputs(), half)
    assert not gradient["segmentation"][:, :32].any() and gradient["segmentation"][:, 32:].any()
    for name in ("outside", "places", "seen"):
        assert not gradient[name][:, :9].any() and gradient[name][:, 9:].any(), name
    assert not gradient["joints"][..., :9].any()


def test_whether_a_joint_is_in_sight_is_asked_within_the_picture_alone():
    true = truth()
    beyond = true.replace(keypoints=jnp.full((2, 18, 2), -9.0))
    gradient = jax.jit(jax.grad(total))(outputs(), beyond)
    assert not gradient["seen"].any() and gradient["outside"].any() and gradient["places"].any()
