"""FirstOrder's conventions: the door of its grids, known motions, and losses that are zero where nothing is wrong."""

import jax
import jax.numpy as jnp
import numpy as np
from tiny_first_order import TINY, params

from vton_jax.core import geometry
from vton_jax.models import first_order
from vton_jax.models import weights as files
from vton_jax.models.first_order import FirstOrder


def identity(size):
    """The places of all pixels, by NumPy."""
    return np.stack(np.meshgrid(*(np.linspace(-1, 1, side) for side in size[::-1])), -1).astype(np.float32)


def smooth(size, seed=0, batch=1):
    """Pictures without fine detail, the same at every size."""
    generator, place = np.random.default_rng(seed), identity(size)
    waves = generator.uniform(-3, 3, (batch, 3, 4, 2))
    found = np.sin(np.einsum("hwi,bcki->bhwck", place, waves) + generator.uniform(0, 6, (batch, 1, 1, 3, 4))).mean(-1)
    return (0.5 + 0.5 * found).astype(np.float32)


def motions(seed, count=3):
    generator = np.random.default_rng(seed)
    frames = np.eye(2) + generator.normal(0, 0.2, (1, count, 2, 2))
    return {"points": generator.uniform(-0.8, 0.8, (1, count, 2)).astype(np.float32),
            "jacobians": frames.astype(np.float32)}  # fmt: skip


def compiled(function, *static):
    """A function of the module, compiled whole: its operations one by one take far longer."""
    return jax.jit(function, static_argnums=static)


resample, local_motions = compiled(first_order.resample, 1), compiled(first_order.local_motions, 2)
compose, loss = compiled(first_order.compose), compiled(first_order.loss)
random_warps, apply_warp = compiled(first_order.random_warps, 1), compiled(first_order.apply_warp)
equivariance = compiled(first_order.equivariance)


def test_the_corners_are_the_middles_of_the_outer_pixels():
    size = (5, 9)
    corners = np.float32([[-1, -1], [1, -1], [1, 1], [0, 0]])
    pixels = jax.jit(lambda at: first_order.to_pixels(at, size))(corners)
    back, places = jax.jit(lambda at: (first_order.from_pixels(at, size), first_order.identity(size)))(pixels)
    np.testing.assert_allclose(pixels, [[0, 0], [8, 0], [8, 4], [4, 2]], atol=1e-6)
    np.testing.assert_allclose(back, corners, atol=1e-6)
    np.testing.assert_allclose(places, identity(size), atol=1e-6)
    np.testing.assert_allclose(places[4, 0], [-1, 1], atol=1e-6)


def test_places_stay_what_they_are_when_maps_change_their_size():
    for source, target in (((16, 16), (40, 24)), ((64, 48), (20, 31))):
        found = resample(identity(source)[None], target)[0]
        inner = (slice(2, -2), slice(2, -2))  # the triangles of what shrinks are cut at the border
        apart = (np.asarray(found) - identity(target))[inner] * (np.array(source[::-1]) - 1) / 2
        assert np.abs(apart).max() < 0.1  # of a pixel
    grown = resample(identity((16, 16))[None], (40, 40))[0]
    np.testing.assert_allclose(grown, identity((40, 40)), atol=1e-5)


def test_an_offset_to_the_right_reads_the_right_neighbour():
    image = np.arange(7.0 * 6, dtype=np.float32).reshape(1, 6, 7, 1)
    offsets = np.broadcast_to(np.float32([2 / 6, 0]), (1, 4, 4, 2))  # one of seven pixels
    moved = jax.jit(lambda offsets: geometry.warp(image, first_order.pixel_flow(offsets, (6, 7))))(offsets)
    np.testing.assert_allclose(np.asarray(moved)[0, :, :-1], image[0, :, 1:], atol=1e-4)


def test_the_same_motion_moves_nothing():
    motion = motions(0)
    moved = local_motions(motion, motion, (8, 6))
    np.testing.assert_allclose(moved, np.broadcast_to(identity((8, 6)), moved.shape), atol=1e-5)


def test_a_known_affine_motion_is_recovered():
    """Frames that are affine images of one reference: every local motion is the one that leads from frame to frame."""
    generator, size = np.random.default_rng(1), (9, 7)
    reference = generator.uniform(-0.5, 0.5, (4, 2))
    maps = [(np.eye(2) + generator.normal(0, 0.2, (2, 2)), generator.normal(0, 0.1, 2)) for _ in range(2)]
    seen = [{"points": (reference @ a.T + b)[None].astype(np.float32),
             "jacobians": np.broadcast_to(a, (1, 4, 2, 2)).astype(np.float32)} for a, b in maps]  # fmt: skip
    found = np.asarray(local_motions(*seen, size))
    (a, b), (c, d) = maps
    for row in range(size[0]):
        for column in range(size[1]):
            z = np.array([2 * column / (size[1] - 1) - 1, 2 * row / (size[0] - 1) - 1])
            wanted = a @ np.linalg.solve(c, z - d) + b
            np.testing.assert_allclose(found[0, 1:, row, column], np.tile(wanted, (4, 1)), atol=1e-4)
            np.testing.assert_allclose(found[0, 0, row, column], z, atol=1e-6)


def test_inverses_are_inverses():
    matrices = np.random.default_rng(2).normal(0, 1, (5, 2, 2)).astype(np.float32)
    inverse = jax.jit(first_order.inverse)
    np.testing.assert_allclose(inverse(matrices), np.linalg.inv(matrices), rtol=1e-3, atol=1e-3)
    assert np.isfinite(inverse(np.zeros_like(matrices))).all()


def test_bumps_stand_at_their_points():
    draw = lambda pixels: first_order.bumps(first_order.from_pixels(pixels, (8, 10)), (8, 10))  # noqa: E731
    found = np.asarray(jax.jit(draw)(np.float32([[[3, 5], [6, 1]]])))
    assert [np.unravel_index(found[0, ..., k].argmax(), (8, 10)) for k in (0, 1)] == [(5, 3), (1, 6)]
    np.testing.assert_allclose(found.max((1, 2)), 1, atol=1e-5)


def slow_warp(warp, z):
    """A thin-plate warp of one place, spelled out."""
    bend = 0.0
    for row in range(5):
        for column in range(5):
            squared = (z[0] - (column / 2 - 1)) ** 2 + (z[1] - (row / 2 - 1)) ** 2
            bend += float(warp["bend"][5 * row + column]) * squared * np.log(squared + 1e-6)
    return np.asarray(warp["affine"])[:, :2] @ z + np.asarray(warp["affine"])[:, 2] + bend


def test_warps_beside_a_slow_reference():
    warp = jax.tree.map(lambda a: np.asarray(a)[0], random_warps(jax.random.PRNGKey(0), 1, 0.2, 0.05))
    points = np.random.default_rng(3).uniform(-1, 1, (6, 2))
    wanted = np.stack([slow_warp(warp, z) for z in points])
    np.testing.assert_allclose(apply_warp(warp, points.astype(np.float32)), wanted, atol=1e-4)
    step = 1e-4
    slopes = [[(slow_warp(warp, z + step * axis) - slow_warp(warp, z - step * axis)) / (2 * step) for axis in np.eye(2)]
              for z in points]  # fmt: skip
    found = jax.jit(first_order.warp_jacobians)(warp, points.astype(np.float32))
    np.testing.assert_allclose(found, np.swapaxes(slopes, 1, 2), atol=5e-3)


def test_a_warped_picture_shows_what_lies_there():
    warps = jax.device_get(random_warps(jax.random.PRNGKey(1), 1, 0.05, 0.005))
    size = (40, 40)
    shown = np.asarray(jax.jit(first_order.warp_images)(warps, identity(size)[None]))[0]  # a picture of its own places
    warp = jax.tree.map(lambda a: a[0], warps)
    for row, column in ((20, 20), (12, 27), (25, 8)):
        z = identity(size)[row, column]
        np.testing.assert_allclose(shown[row, column], slow_warp(warp, z), atol=1e-3)


def test_equivariance_is_zero_for_a_perfect_detector_alone():
    warps = random_warps(jax.random.PRNGKey(2), 2, 0.1, 0.01)
    of_warped = jax.tree.map(lambda a: np.concatenate([a, a[:, ::-1]]), motions(4))

    @jax.jit
    def perfect(warps, of_warped):
        turned = jax.vmap(first_order.warp_jacobians)(warps, of_warped["points"])
        points = jax.vmap(first_order.apply_warp)(warps, of_warped["points"])
        return {"points": points, "jacobians": turned @ of_warped["jacobians"]}

    found = equivariance(warps, perfect(warps, of_warped), of_warped)
    assert max(map(float, found.values())) < 1e-5
    still = equivariance(warps, of_warped, of_warped)  # one that does not see that the picture was warped
    assert min(map(float, still.values())) > 0.01


def test_nothing_moved_and_all_kept_is_the_source():
    source, full = smooth((48, 40), batch=2), np.ones((2, 32, 32, 4), np.float32)
    maps = {"offsets": np.zeros((2, 16, 16, 2), np.float32), "painted": full[..., :3], "kept": full[..., :1]}
    np.testing.assert_allclose(compose(source, maps)["image"], source, atol=1e-6)
    painted = compose(source, maps | {"kept": 0 * full[..., :1]})["image"]
    np.testing.assert_allclose(painted, 1, atol=1e-5)


def test_a_picture_driven_by_itself_is_not_moved_and_every_size_is_seen_alike():
    source, large = smooth((128, 128)), smooth((256, 192))
    both = lambda weights: (TINY.apply(weights, source, source), TINY.apply(weights, large, method="detect"))  # noqa: E731
    out, found = jax.device_get(jax.jit(both)(params()))
    np.testing.assert_allclose(out["offsets"], 0, atol=1e-5)
    np.testing.assert_allclose(out["moved"], source, atol=1e-4)
    np.testing.assert_allclose(found["points"], out["source"]["points"], atol=0.05)
    np.testing.assert_allclose(found["jacobians"], np.broadcast_to(np.eye(2), (1, 4, 2, 2)), atol=1e-5)


def test_losses_are_zero_for_the_truth():
    truth = smooth((64, 64))
    points = np.float32([[[0.1, 0.2], [-0.5, 0.3]]])
    still = np.zeros((1, 64, 64, 2), np.float32)
    out = {"image": truth, "moved": truth, "kept": np.ones((1, 64, 64, 1), np.float32), "offsets": still}
    known = {"source_points": points, "driving_points": points, "seen": np.array([[True, True]])}
    assert all(abs(float(term)) < 1e-5 for term in loss(out, truth, known).values())
    step = np.float32([0.25, -0.5])
    moved = known | {"source_points": points + step}
    np.testing.assert_allclose(loss(out, truth, moved)["flow"], 0.75, atol=1e-4)
    np.testing.assert_allclose(loss(out | {"offsets": still + step}, truth, moved)["flow"], 0, atol=1e-5)


def test_the_default_is_small_and_released_files_are_of_it():
    """At most 3 MB in float16 a model; a card counts its parameters."""
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    shapes = jax.eval_shape(FirstOrder().init, jax.random.PRNGKey(0), image, image)
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    assert count * 2 < 3e6
    for path in files.FOLDER.glob("first_order_*.safetensors"):
        found, settings, _ = files.load(path, "first_order")
        assert jax.tree.map(jnp.shape, found) == jax.tree.map(lambda leaf: leaf.shape, shapes)
        card = path.with_suffix(".md").read_text(encoding="utf-8")
        assert f"{count:,}" in card and "Apache-2.0" in card and path.stem.endswith(settings["region"])
