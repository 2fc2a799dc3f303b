"""Scenes: people stay in the picture, grounds stand where floors are, and cameras move nothing."""

import numpy as np
import pytest

from vton_jax.catalogue import bodies, camera, people, pictures, poses, scenes, textures, views

SIZE = (128, 96)


@pytest.mark.parametrize("seed", range(12))
def test_heads_are_in_the_picture_and_whole_people_whole(seed):
    generator = np.random.default_rng(seed)
    tall = float(generator.uniform(14, 19))
    eye = scenes.sample_camera(generator, SIZE, tall)
    head, feet = eye.project(np.array([[0, tall, 0], [0, 0, 0.0]]))[:, :2]
    assert 0 < head[1] < 0.25 * SIZE[0] and 0.2 * SIZE[1] < head[0] < 0.8 * SIZE[1]
    whole = feet[1] < SIZE[0]
    assert whole or (feet[1] - head[1]) / SIZE[0] > 0.95


def test_some_people_are_whole_and_some_are_not():
    feet = [
        scenes.sample_camera(np.random.default_rng(seed), SIZE, 17.0).project(np.zeros(3))[1] for seed in range(100)
    ]
    assert 0.45 < np.mean(np.array(feet) < SIZE[0]) < 0.75


@pytest.mark.parametrize("kind", scenes.GROUNDS)
def test_grounds_are_pictures_and_a_function_of_their_seed(kind):
    eye = camera.frame(SIZE, 17.0)
    one, same, other = (scenes.ground(np.random.default_rng(seed), kind, eye, SIZE) for seed in (3, 3, 4))
    assert one.shape == (*SIZE, 3) and one.dtype == np.float32 and one.min() >= 0 and one.max() <= 1
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).mean() > 0.01


def test_lights_come_from_all_sides_and_are_never_dark():
    lights = [scenes.sample_light(np.random.default_rng(seed)) for seed in range(50)]
    sides = [light.direction[0] for light in lights]
    assert min(sides) < -0.5 and max(sides) > 0.5
    assert all(sum(light.key) / 3 + sum(light.ambient) / 3 > 0.6 for light in lights)


def test_cameras_move_nothing():
    """A white square on black keeps its middle through blur, noise and JPEG."""
    picture = np.zeros((*SIZE, 3), np.float32)
    picture[40:80, 30:60] = 1
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    for seed in range(6):
        shown = scenes.finish(np.random.default_rng(seed), picture)
        assert shown.shape == picture.shape and shown.dtype == np.float32
        bright = shown.mean(-1) > 0.4
        assert abs(rows[bright].mean() - 59.5) < 0.2 and abs(columns[bright].mean() - 44.5) < 0.2


def test_a_cropped_persons_truth_fits_the_picture():
    generator = np.random.default_rng(5)
    who = bodies.sample_identity(generator)
    person = people.dress(who, people.sample_worn(generator, who.gender, "casual"))
    eye = camera.frame(SIZE, person.height, fraction=1.8)
    view = views.view_of(person, poses.stand(), eye, SIZE)
    skins = textures.sample_textures(generator, textures.sample_looks(generator, who), person.layers, "casual")
    ground = np.zeros((*SIZE, 3), np.float32)
    light = pictures.Light(key=(1, 1, 1), ambient=(1, 1, 1))
    shown = pictures.shade(view, skins, light, ground).max(-1) > 0.05
    assert (shown == view.raster.covered).mean() > 0.97
    points, visible = view.keypoints()
    outside = (points < 0).any(1) | (points > np.array(SIZE[::-1]) - 0.5).any(1)
    assert outside.any() and not visible[outside].any()
