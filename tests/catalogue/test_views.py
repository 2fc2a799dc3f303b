"""The rasteriser against rays cast one by one, and the truth of a view against geometry."""

import dataclasses

import numpy as np
import pytest

from vton_jax.catalogue import bodies, camera, people, poses, rasteriser, views
from vton_jax.core import keypoints, segmentation

SIZE = (96, 72)


def cast(points: np.ndarray, triangles: np.ndarray, at, both=False, keep=None) -> tuple[int, float]:
    """(the nearest triangle, its inverse depth) at one place of a picture, by looking at all of them; `both`: which
    triangles count where they look away, too; `keep`: see `rasteriser.rasterise`."""
    a, b, c = (points[triangles[:, k]] for k in range(3))
    cross = lambda p, q: p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]  # noqa: E731
    area = cross((b - a)[:, :2], (c - a)[:, :2])
    spot = np.array(at) - a[:, :2]
    with np.errstate(divide="ignore", invalid="ignore"):
        second = cross(spot, (c - a)[:, :2]) / area
        third = cross((b - a)[:, :2], spot) / area
        depth = (1 - second - third) * a[:, 2] + second * b[:, 2] + third * c[:, 2]
    hit = ((area < -1e-9) | (both & (area > 1e-9))) & (second >= 0) & (third >= 0) & (second + third <= 1)
    if keep is not None:
        parts = np.stack([(1 - second - third) * a[:, 2], second * b[:, 2], third * c[:, 2]], -1)
        hit &= (parts * keep[triangles]).sum(1) > 0
    if not hit.any():
        return -1, 0.0
    best = int(np.argmax(np.where(hit, depth, 0)))
    return best, float(depth[best])


def soup(seed: int, count: int = 150) -> tuple[np.ndarray, np.ndarray]:
    """Random triangles of all sizes before a camera, some of them beyond the picture."""
    generator = np.random.default_rng(seed)
    middle = generator.uniform(-12, 90, (count, 1, 2))
    corners = middle + generator.normal(0, 12, (count, 3, 2))
    points = np.concatenate([corners, generator.uniform(0.01, 0.1, (count, 3, 1))], -1).reshape(-1, 3)
    return points, np.arange(3 * count, dtype=np.int32).reshape(count, 3)


@pytest.mark.parametrize("seed", range(4))
def test_every_pixel_shows_the_nearest_triangle(seed):
    points, triangles = soup(seed)
    found = rasteriser.rasterise(points, triangles, SIZE, plain=True)
    assert found.covered.mean() > 0.3
    for row in range(0, SIZE[0], 3):
        for column in range(0, SIZE[1], 3):
            triangle, depth = cast(points, triangles, (column, row))
            assert found.triangle[row, column] == triangle
            assert found.inverse_depth[row, column] == pytest.approx(depth, rel=1e-9)
    np.testing.assert_allclose(found.weights.sum(-1), found.covered, atol=1e-9)
    places = np.random.default_rng(seed).uniform(-5, 100, (300, 2))
    nearest = rasteriser.nearest_at(places, points, triangles, SIZE)
    within = (places >= 0).all(1) & (places < SIZE[::-1]).all(1)
    expected = [cast(points, triangles, place)[1] for place in places]
    np.testing.assert_allclose(nearest, np.where(within, expected, 0), rtol=1e-9)
    both = rasteriser.rasterise(points, triangles, SIZE, both_sides=True)
    assert both.covered.sum() > found.covered.sum()
    turned = rasteriser.rasterise(points, triangles[:, ::-1], SIZE, both_sides=True)
    np.testing.assert_array_equal(both.triangle, turned.triangle)


def test_a_cut_triangle_ends_between_its_corners():
    points, triangles = soup(9)
    keep = np.random.default_rng(9).normal(size=len(points))
    found = rasteriser.rasterise(points, triangles, SIZE, both_sides=True, keep=keep, plain=True)
    places = np.random.default_rng(0).uniform(0, 70, (200, 2))
    nearest = rasteriser.nearest_at(places, points, triangles, SIZE, both_sides=True, keep=keep)
    for place, depth in zip(places, nearest, strict=True):
        assert depth == pytest.approx(cast(points, triangles, place, True, keep)[1], rel=1e-9)
    for row in range(0, SIZE[0], 5):
        for column in range(0, SIZE[1], 5):
            assert found.triangle[row, column] == cast(points, triangles, (column, row), True, keep)[0]
    assert 0.3 < found.covered.mean() < rasteriser.rasterise(points, triangles, SIZE, both_sides=True).covered.mean()


def test_compiled_and_plain_draw_the_same():
    pytest.importorskip("numba")
    given = [(*soup(seed), np.random.default_rng(seed).normal(size=450) + 0.5) for seed in range(4)]
    view = views.sample_view(3, SIZE)
    given.append((view.camera.project(view.places), view.person.triangles, view.person.keep))
    for points, triangles, keep in given:
        both = np.arange(len(triangles)) % 2 == 0
        one, two = (
            rasteriser.rasterise(points, triangles, SIZE, both_sides=both, keep=keep, plain=plain)
            for plain in (False, True)
        )
        np.testing.assert_array_equal(one.triangle, two.triangle)
        np.testing.assert_allclose(one.weights, two.weights, atol=1e-12)
        np.testing.assert_allclose(one.inverse_depth, two.inverse_depth, rtol=1e-12)
        places = np.random.default_rng(0).uniform(-5, 1.1 * max(SIZE), (500, 2))
        near, plain = (
            rasteriser.nearest_at(places, points, triangles, SIZE, both_sides=both, keep=keep, plain=plain)
            for plain in (False, True)
        )
        np.testing.assert_allclose(near, plain, rtol=1e-12)
        assert (near > 0).any()


def test_of_equally_near_triangles_the_first_shows_and_none_behind_the_camera():
    points = np.array([[0, 0, 0.1], [0, 9, 0.1], [9, 0, 0.1], [0, 0, 0.0]])
    triangles = np.array([[0, 1, 2], [0, 1, 2], [3, 1, 2]], np.int32)
    assert set(np.unique(rasteriser.rasterise(points, triangles, (12, 12)).triangle)) == {-1, 0}
    assert not rasteriser.rasterise(points, triangles[2:], (12, 12)).covered.any()
    assert not rasteriser.rasterise(points, triangles[:0], (12, 12)).covered.any()


@pytest.fixture(scope="module")
def view():
    return views.sample_view(1, SIZE)


def test_what_a_pixel_shows_is_projected_onto_its_centre(view):
    """Weights are the triangle's in space: without the correction for perspective they would not."""
    seen = view.raster.covered
    places = view.raster.blend(view.person.triangles, view.places)[seen]
    row, column = np.nonzero(seen)
    projected = view.camera.project(places)
    np.testing.assert_allclose(projected[:, :2], np.stack([column, row], -1), atol=1e-8)
    np.testing.assert_allclose(projected[:, 2], view.raster.inverse_depth[seen], rtol=1e-9)
    assert np.isinf(view.depth[~seen]).all() and (view.depth[seen] > 20).all()


def test_a_view_against_itself_and_a_camera_that_moves_aside(view):
    flow, visible = views.flow_between(view, view)
    assert visible[view.raster.covered].all() and not visible[~view.raster.covered].any()
    np.testing.assert_allclose(flow, 0, atol=1e-5)
    # The whole person moved by a decimetre: everything moves by focal length over depth.
    places = view.places + [1.0, 0, 0]
    raster = rasteriser.rasterise(view.camera.project(places), view.person.triangles, SIZE, **view.person.drawn)
    moved = dataclasses.replace(view, places=places, raster=raster)
    flow, visible = views.flow_between(view, moved)
    seen = view.raster.covered
    expected = np.stack([view.camera.focal * view.raster.inverse_depth, np.zeros(SIZE)], -1)
    np.testing.assert_allclose(flow[seen], expected[seen], atol=1e-4)
    assert visible[seen].mean() > 0.95


@pytest.mark.parametrize("seed", [0, 3, 5])
def test_flow_and_visibility_against_rays(seed):
    """Each pixel's spot is looked for in the other view by a ray through all triangles."""
    generator = np.random.default_rng(seed)
    who = bodies.sample_identity(generator)
    person = people.dress(who, people.sample_worn(generator, who.gender, "casual"))
    eye = camera.frame(SIZE, person.height)
    target, source = (
        views.view_of(person, poses.sample_pose(generator).turned(yaw), eye, SIZE)
        for yaw in (0.2, generator.uniform(-1.5, 1.5))
    )
    flow, visible = views.flow_between(target, source)
    points, drawn = source.camera.project(source.places), (person.layer > 1, person.keep)
    rows, columns = np.nonzero(target.raster.covered)
    chosen = generator.choice(len(rows), 250, replace=False)
    agree = []
    for row, column in zip(rows[chosen], columns[chosen], strict=True):
        spot = source.camera.project(target.raster.blend(person.triangles, source.places)[row, column])
        np.testing.assert_allclose(np.array([column, row]) + flow[row, column], spot[:2], atol=1e-4)
        triangle, depth = cast(points, person.triangles, spot[:2], *drawn)
        agree.append((triangle >= 0 and 1 / spot[2] < 1 / depth + 1e-3) == visible[row, column])
    assert np.mean(agree) > 0.99
    assert 0.2 < visible[target.raster.covered].mean() < 1


@pytest.mark.parametrize("seed", range(8))
def test_joints_lie_within_their_parts(seed):
    view = views.sample_view(seed, (256, 192))
    points, visible = view.keypoints()
    parts = {"elbow": "arm", "wrist": "arm", "knee": "leg", "ankle": "leg"}
    for side in ("left", "right"):
        for joint, part in parts.items():
            index = keypoints.ID[f"{side}-{joint}"]
            if visible[index]:
                column, row = np.rint(points[index]).astype(int)
                around = view.segmentation[row - 2 : row + 3, column - 2 : column + 3]
                cloth = {"arm": ("upper-clothes", "dress"), "leg": ("pants", "skirt", "dress", f"{side}-shoe")}[part]
                assert np.isin(around, [segmentation.ID[name] for name in (f"{side}-{part}", *cloth)]).any()
    assert visible.sum() >= 7  # of somebody seen from behind or aside
    assert np.isfinite(points).all()


def test_faces_are_seen_from_the_front_alone():
    person = people.dress(bodies.Identity())
    eye = camera.frame((256, 192), person.height)
    for yaw, nose in ((0.0, True), (1.2, True), (np.pi, False), (2.4, False)):
        view = views.view_of(person, poses.stand().turned(yaw), eye, (256, 192))
        points, visible = view.keypoints()
        assert visible[keypoints.ID["nose"]] == nose
        if yaw == 0:
            # The person's left is on the picture's right, and the labels agree.
            for name in ("shoulder", "wrist", "knee", "eye"):
                assert points[keypoints.ID[f"left-{name}"], 0] > points[keypoints.ID[f"right-{name}"], 0] + 3
            legs = (view.segmentation == segmentation.ID[f"{side}-leg"] for side in ("left", "right"))
            left, right = (np.nonzero(leg)[1].mean() for leg in legs)
            assert left > right + 5


def test_a_joint_beyond_the_picture_is_known_and_not_seen():
    person = people.dress(bodies.Identity())
    eye = camera.frame((96, 72), person.height, fraction=1.6)
    points, visible = views.view_of(person, poses.stand(), eye, (96, 72)).keypoints()
    outside = (points[:, 1] > 95) | (points[:, 1] < 0)
    assert outside.any() and not visible[outside].any() and visible[~outside].any()


def test_surface_coordinates_are_those_of_the_neutral_body(view):
    """Every pixel's coordinates lie on the neutral surface: near a vertex of the triangle that it shows."""
    seen = view.raster.covered
    near = view.person.neutral[view.person.triangles[view.raster.triangle[seen]]]
    low, high = near.min(1) - 1e-9, near.max(1) + 1e-9
    assert ((view.surface[seen] >= low) & (view.surface[seen] <= high)).all()


def test_people_are_shown_whole_and_in_the_middle():
    for seed in range(6):
        rows, columns = np.nonzero(views.sample_view(seed, (256, 192)).raster.covered)
        assert 0.78 < np.ptp(rows) / 256 < 0.92 and rows.min() > 4 and rows.max() < 252
        assert abs((columns.min() + columns.max()) / 2 - 95.5) < 30
