"""Pictures: textures are read where they should be, light and shadow fall as they must, and nothing else changes."""

import dataclasses
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from vton_jax.catalogue import (
    assets,
    bodies,
    camera,
    compiled,
    garments,
    people,
    pictures,
    poses,
    rasteriser,
    textures,
    views,
    wardrobe,
)
from vton_jax.core import segmentation

ROOT = Path(__file__).resolve().parents[2]
SIZE = (128, 96)


def test_compiled_and_plain_give_the_same_pictures(scene, monkeypatch):
    pytest.importorskip("numba")
    fast = pictures.shade(*scene, pictures.Light(), samples=1)
    monkeypatch.setattr(compiled, "kernels", lambda: None)
    np.testing.assert_allclose(pictures.shade(*scene, pictures.Light(), samples=1), fast, atol=1e-4)


def test_compiled_and_plain_make_the_same_cloth_and_skinning(monkeypatch):
    pytest.importorskip("numba")
    colours = np.float32([[0.2, 0.5, 0.8], [0.9, 0.4, 0.1]])
    who = people.dress(bodies.Identity(), garments.outfit(garments.Cut("top"), garments.Cut("trousers")))
    eye = camera.frame(SIZE, who.height)

    def made():
        cloth = [textures.cloth(np.random.default_rng(7), name, colours, 6, creased=0.1) for name in textures.PATTERNS]
        view = views.view_of(who, poses.walk(0.7), eye, SIZE)
        return [*cloth, view.places, view.raster.weights, textures.normals(view.places, who.triangles)]

    fast = made()
    monkeypatch.setattr(compiled, "kernels", lambda: None)
    for one, two in zip(fast, made(), strict=True):
        np.testing.assert_allclose(one, two, atol=2e-6)


def test_what_is_left_out_of_a_garment_shows_nothing():
    worn = garments.outfit(garments.Cut("top"), garments.Cut("skirt", leg=0.8, waist=0.3))
    who = people.dress(bodies.Identity(), worn)
    view = views.view_of(who, poses.stand(), camera.frame(SIZE, who.height), SIZE)
    start, points = assets.NUM_VERTICES, view.camera.project(view.places)
    for thing in worn:
        rest = np.setdiff1d(np.arange(len(thing.triangles)), thing.drawn)
        assert len(rest) > 0.1 * len(thing.triangles)
        own = thing.triangles[rest] + start
        assert not rasteriser.rasterise(points, own, SIZE, both_sides=True, keep=who.keep).covered.any()
        start += len(thing.keep)


def test_bytes_are_sampled_as_fractions():
    texture = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    at = np.random.default_rng(1).random((50, 2))
    for plain in (False, True):
        found = textures.sample(texture, at, True, plain=plain)
        np.testing.assert_allclose(found, textures.sample(np.float32(texture) / 255, at, True), atol=1e-5)


def test_samples_are_bilinear_and_v_points_up():
    texture = np.zeros((2, 2, 3), np.float32)
    texture[0, 1] = 1.0  # above, to the right
    at = np.array([[0.75, 0.75], [0.25, 0.25], [0.5, 0.75], [0.5, 0.5], [2.75, -1.25]])
    for repeats, beyond in ((True, 1.0), (False, 0.0)):
        found = textures.sample(texture, at, repeats)[:, 0]
        np.testing.assert_allclose(found, [1, 0, 0.5, 0.25, beyond], atol=1e-6)
        plain = textures.sample(texture, at, repeats, plain=True)[:, 0]
        np.testing.assert_allclose(found, plain, atol=1e-6)


def test_normals_are_those_of_a_sphere():
    body = bodies.shape(bodies.Identity())
    triangles = people.dress(bodies.Identity()).triangles
    found = textures.normals(body, triangles[triangles.max(1) < 13380])[:13380]
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    head = (body[:13380, 1] > 7.6) & (np.abs(body[:13380, 0]) < 0.9)  # a skull looks away from its middle
    middle = body[:13380][head].mean(0) - [0, 0.6, 0]
    outwards = body[:13380][head] - middle
    assert ((outwards * found[head]).sum(1) > 0).mean() > 0.97


@pytest.mark.parametrize("tone", [0.0, 0.4, 0.8])
def test_skins_are_as_dark_as_their_tone_and_painted_where_faces_are(tone):
    brown = np.float32([0.1, 0.05, 0.03])
    skin = textures.skin(np.random.default_rng(0), tone, brown)
    assert skin.shape == (textures.SIDE, textures.SIDE, 3) and skin.dtype == np.float32
    places, _ = textures._skin_places()
    belly = (np.abs(places[..., 1] - 2) < 1) & (places[..., 2] > 0.5)
    cheek = skin[belly].mean(0)
    assert cheek[0] > cheek[1] > cheek[2]
    assert abs(cheek.mean() - (0.76 - 0.57 * tone)) < 0.12
    brow = np.hypot(np.abs(places[..., 0]) - 0.36, places[..., 1] - 7.49) < 0.03
    brow &= places[..., 2] > 0.5
    assert brow.any() and (tone > 0.6 or skin[brow].mean() < 0.8 * cheek.mean())


@pytest.mark.parametrize("pattern", textures.PATTERNS)
def test_cloth_repeats_and_has_its_two_colours(pattern):
    colours = np.float32([[0.9, 0.9, 0.9], [0.1, 0.1, 0.1]])
    made = textures.cloth(np.random.default_rng(0), pattern, colours, 4, 64)
    dark = (made.mean(-1) < 0.5).mean()
    assert dark == 0 if pattern == "plain" else 0.2 < dark < 0.6
    np.testing.assert_allclose(made[:, :16].mean(), made[:, 16:32].mean(), atol=0.08)  # the weave is uneven


@pytest.fixture(scope="module")
def scene():
    generator = np.random.default_rng(2)
    who = bodies.sample_identity(generator)
    worn = wardrobe.sample_suit(generator, who.gender), wardrobe.sample_shoes(generator)
    person = people.dress(who, [*worn, *wardrobe.sample_hair(generator, who.gender)])
    view = views.view_of(person, poses.stand(), camera.frame(SIZE, person.height), SIZE)
    looks = textures.sample_looks(generator, who)
    return view, textures.sample_textures(generator, looks, person.layers, "casual")


def test_a_picture_shows_the_person_on_its_ground(scene):
    view, skins = scene
    ground = np.full((*SIZE, 3), 0.5, np.float32)
    picture = pictures.shade(view, skins, pictures.Light(), ground)
    assert picture.shape == (*SIZE, 3) and picture.min() >= 0 and picture.max() <= 1
    assert np.abs(picture[:20] - ground[:20])[~view.raster.covered[:20]].max() < 0.2  # above is no floor
    assert np.median(np.abs(picture[:60] - 0.5 * 1.02 ** (1 / 2.2))[~view.raster.covered[:60]]) < 0.01
    same = pictures.shade(view, skins, pictures.Light(), ground)
    np.testing.assert_array_equal(picture, same)


def test_light_falls_from_where_it_stands(scene):
    """On a white body: lit from the left it is brighter there, and its shadow falls to the right."""
    view, skins = scene
    white = {name: np.ones((4, 4, 3), np.float32) * 0.8 for name in skins}
    ground = np.full((*SIZE, 3), 0.9, np.float32)
    pictures_of = [
        pictures.shade(view, white, pictures.Light(direction=(side, 0.5, 0.6)), ground).mean(-1) for side in (-0.8, 0.8)
    ]
    columns = np.broadcast_to(np.arange(SIZE[1]), SIZE)
    body = view.raster.covered
    left, right = (body & (columns < 48), body & (columns >= 48))
    from_left, from_right = pictures_of
    difference = from_left - from_right
    assert difference[left].mean() > 0.015 and difference[right].mean() < -0.015  # each limb has two sides
    floor = ~body & (np.arange(SIZE[0])[:, None] > 100)
    darker = [np.mean(columns[floor & (one < other - 0.01)]) for one, other in ((from_left, from_right), (from_right, from_left))]  # fmt: skip  # noqa: E501
    assert darker[0] > darker[1] + 10


def test_colours_follow_the_layers(scene):
    view, skins = scene
    person = view.person
    red = {name: np.float32([[[1, 0, 0]]]) if name.endswith("/upper") else np.float32([[[0, 0, 1]]]) for name in skins}
    picture = pictures.shade(view, red, dataclasses.replace(pictures.Light(), key=(0, 0, 0), ambient=(1, 1, 1)))
    upper = view.segmentation == segmentation.ID["upper-clothes"]
    other = view.raster.covered & ~upper & (view.segmentation != segmentation.ID["face"])
    assert picture[upper].mean(0)[0] > 3 * picture[upper].mean(0)[2]
    assert picture[other].mean(0)[2] > 3 * picture[other].mean(0)[0]
    assert set(skins) == set(person.layers)


def test_samples_of_a_pixel_lie_about_its_centre(scene):
    """The picture is not shifted against its truth: the outline's middle is that of the labels."""
    view, skins = scene
    black = {name: np.zeros((2, 2, 3), np.float32) for name in skins}
    ground = np.ones((*SIZE, 3), np.float32)
    dark = dataclasses.replace(pictures.Light(), key=(1e-9, 1e-9, 1e-9), ambient=(0, 0, 0))
    for samples in (1, 2, 3):
        shown = 1 - pictures.shade(view, black, dark, ground, samples)[:90].mean(-1)
        rows, columns = np.mgrid[:90, : SIZE[1]]
        covered = view.raster.covered[:90]
        for axis in (rows, columns):
            weight = np.where(shown > 0.02, shown, 0)
            assert abs((axis * weight).sum() / weight.sum() - axis[covered].mean()) < 0.35


def colours_of(view: views.View, skins: dict) -> np.ndarray:
    """The surfaces' own colours [H, W, 3], without light."""
    picture = np.zeros((*view.raster.triangle.shape, 3))
    picture[view.raster.covered] = pictures.albedo(view.raster, view, skins)
    return picture


@pytest.mark.parametrize("seed", [1, 4, 6])
def test_warping_the_flat_garment_shows_the_worn_one(seed):
    """On the surfaces' own colours: light is another when cloth lies flat."""
    generator = np.random.default_rng(seed)
    who = bodies.sample_identity(generator)
    worn = [*garments.outfit(garments.Cut("top", sleeve=0.7), garments.Cut("trousers")), "shoes01"]
    person = people.dress(who, worn)
    smooth = np.float32(np.stack(np.meshgrid(*2 * [0.5 + 0.4 * np.sin(np.linspace(0, 2 * np.pi, 64))]), -1))
    skins = {name: np.dstack([smooth, smooth[..., :1] * 0.5]) for name in person.layers}
    size = (256, 192)
    view = views.view_of(
        person, poses.walk(0.5).turned(generator.uniform(-0.7, 0.7)), camera.frame(size, person.height), size
    )
    for layer, label in (("top", "upper-clothes"), ("trousers", "pants")):
        flat = views.laid_flat(person, [layer], size)
        assert set(np.unique(flat.segmentation)) == {0, segmentation.ID[label]}
        rows, columns = np.nonzero(flat.raster.covered)
        assert max(np.ptp(rows) / size[0], np.ptp(columns) / size[1]) == pytest.approx(0.86, abs=0.02)
        flow, visible = views.flow_between(target=view, source=flat)
        region = view.segmentation == segmentation.ID[label]
        assert not visible[~region].any() and visible[region].mean() > 0.5
        here, there = colours_of(view, skins), colours_of(flat, skins)
        inner = cv2.erode(flat.raster.covered.astype(np.uint8), np.ones((5, 5)))
        places = (np.argwhere(visible)[:, ::-1] + flow[visible]).astype(np.float32)
        sampled = cv2.remap(there.astype(np.float32), places[None], None, cv2.INTER_LINEAR)[0]
        clear = cv2.remap(inner, places[None], None, cv2.INTER_NEAREST)[0] > 0
        error = np.abs(sampled - here[visible]).max(-1)[clear]
        assert clear.mean() > 0.7 and np.median(error) < 0.01 and np.quantile(error, 0.9) < 0.05
        unmoved = np.abs(there[visible] - here[visible]).max(-1)[clear]
        assert unmoved.mean() > 5 * error.mean()


def test_a_layer_that_nobody_wears_is_named():
    person = people.dress(bodies.Identity(), garments.outfit(garments.Cut("top"), None))
    with pytest.raises(ValueError, match="wears no cape, but skin, eyes, top"):
        people.only(person, ["cape"])


def test_the_documents_example_runs():
    text = (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8")
    names = {}
    exec(re.search(r"```python\n(.*?)```", text, re.S)[1], names)
    assert names["picture"].shape == (256, 192, 3) and names["visible"].any()


def test_a_shading_is_a_white_body_in_each_light(scene):
    """Any key light of `KEY_DIRECTIONS` alone gives that field, and the first is the mean of what is ambient."""
    view, skins = scene
    white = {name: np.ones((4, 4, 3), np.float32) for name in skins}
    black = np.zeros((*SIZE, 3), np.float32)
    fields, inside = pictures.shading(view), view.raster.covered
    assert fields.shape == (*SIZE, 1 + len(pictures.KEY_DIRECTIONS))
    assert not fields[~cv2.dilate(inside.astype(np.uint8), np.ones((3, 3))).astype(bool)].any()
    inner = cv2.erode(inside.astype(np.uint8), np.ones((3, 3))) > 0
    ambient = []
    for index, direction in enumerate(pictures.KEY_DIRECTIONS):
        key = pictures.Light(direction, key=(0.5,) * 3, ambient=(0,) * 3)
        alone = pictures.shade(view, white, key, black)[..., 0] ** 2.2 / 1.02
        # A pixel in a hundred is not covered whole: between legs.
        assert np.quantile(np.abs(alone - 0.5 * fields[..., 1 + index])[inner], 0.98) < 2e-3
        sky = pictures.Light(direction, key=(0,) * 3, ambient=(0.5,) * 3)
        ambient.append(pictures.shade(view, white, sky, black)[..., 0] ** 2.2 / 1.02)
    assert np.quantile(np.abs(np.mean(ambient, 0) - 0.5 * fields[..., 0])[inner], 0.98) < 2e-3
    left, right = fields[..., 1][inner], fields[..., 2][inner]
    columns = np.broadcast_to(np.arange(SIZE[1]), SIZE)[inner]
    assert np.corrcoef(left - right, columns)[0, 1] < -0.2
