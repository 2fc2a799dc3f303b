"""Photos as cloth: the worn front shows the photo, exactly where the flow says; the back shows no print."""

import dataclasses
import functools

import cv2
import numpy as np
import pytest

from vton_jax.catalogue import (
    assets,
    bodies,
    camera,
    examples,
    exchanges,
    flat_photos,
    garment_outlines,
    garment_photos,
    garments,
    people,
    photo_cloth,
    pictures,
    poses,
    textures,
    views,
)
from vton_jax.catalogue.garments import Cut
from vton_jax.core import segmentation
from vton_jax.core.keypoints import ID

SIZE = (256, 192)
CUTS = {
    "sleeved": (Cut("top", sleeve=0.8, hem=-0.1), None),
    "sleeveless": (Cut("top", sleeve=0.0, hem=0.18), Cut("dress", leg=0.9, waist=0.3)),
    "trousers": (None, Cut("trousers", waist=0.28)),
    "skirt": (None, Cut("skirt", leg=0.9, waist=0.3)),
}
TYPES = {"sleeved": "t-shirt", "sleeveless": "dress", "trousers": "pants", "skirt": "skirt"}
RED, GREEN = np.float32([0.7, 0.25, 0.2]), np.float32([0.1, 0.7, 0.2])


@functools.cache
def cloth(shape: str) -> photo_cloth.PhotoCloth:
    """A garment whose photo is drawn from its cut: red with a green spot in its middle, brighter to the right."""
    arms = (0.3, -0.1) if shape == "sleeved" else (0.0, 0.0)
    outline = garment_photos.cut_outline(shape, CUTS[shape], arms)
    low, high = outline.polygon.min(0), outline.polygon.max(0)
    scale = 240 / (high - low).max()
    place = lambda points: (points - low) * scale + 7  # noqa: E731
    width, height = np.ceil((high - low) * scale + 14).astype(int)
    row, column = np.mgrid[:height, :width]
    aside = 1.5 if shape == "trousers" else 0.0  # on a leg
    middle = place(np.array([[aside, low[1] + 0.4 * (high[1] - low[1])]]))[0]
    spot = np.clip(12.5 - np.hypot(row - middle[1], column - middle[0]), 0, 1)[..., None]
    colours = (spot * GREEN + (1 - spot) * RED) * (0.85 + 0.15 * column / width)[..., None]
    picture = np.round(255 * cv2.GaussianBlur(colours.astype(np.float32), (0, 0), 1.0)).astype(np.uint8)
    points = outline.control_points(0.1)
    return photo_cloth.PhotoCloth(
        shape, TYPES[shape], "train", shape, CUTS[shape], arms, picture, place(outline.polygon), place(outline.corners),
        points * [1, -1], place(points), 1.0, f"{shape}.jpg",
    )  # fmt: skip


@functools.cache
def worn(shape: str, yaw: float):
    """(view, its albedo as screens show it [n, 3], names of the garment's layers)."""
    top, lower = Cut("top", hem=0.18 if shape == "sleeveless" else -0.1), Cut("trousers")
    top, lower = cloth(shape).on(top, lower)
    pieces = garments.outfit(top, lower)
    person = people.dress(bodies.Identity(), pieces)
    view = views.view_of(person, poses.stand(0.6).turned(yaw), camera.frame(SIZE, person.height), SIZE)
    grey = np.full((8, 8, 3), 0.5, np.float32)
    skins = {name: grey for name in person.layers} | photo_cloth.textures(pieces)
    shown = np.zeros((*SIZE, 3), np.float32)
    shown[view.raster.covered] = pictures.albedo(view.raster, view, skins) ** (1 / 2.2)
    return view, shown, [piece.name for piece in pieces if piece.cut.cloth is not None]


@pytest.mark.parametrize("shape", CUTS)
def test_the_flat_picture_along_the_flow_is_what_is_worn(shape):
    for yaw in (0.0, 0.7) if shape == "sleeved" else (0.0,):
        view, shown, layers = worn(shape, yaw)
        flat = flat_photos.lay(cloth(shape), SIZE)
        picture = flat.picture(np.ones((*SIZE, 3), np.float32)).astype(np.float32)
        flow, visible = flat_photos.flow_to_photo(view, flat, layers)
        own = view.raster.covered & np.isin(view.person.layer[view.raster.triangle],
                                            [view.person.layers.index(name) for name in layers])  # fmt: skip
        assert visible.sum() > 0.6 * own.sum() and not visible[~own].any() and not flow[~visible].any()
        row, column = np.nonzero(visible)
        at = (np.stack([column, row], 1) + flow[visible]).astype(np.float32)
        warped = cv2.remap(picture, *(at[:, axis, None] for axis in (0, 1)), cv2.INTER_LINEAR)[:, 0]
        error = np.abs(warped - shown[visible]).max(1)
        assert np.median(error) < 0.01 and np.percentile(error, 95) < 0.08
        x, y = np.rint(at).astype(int).T
        assert (flat.alpha[y, x] > 0.3).mean() > 0.99
        # Neighbours show neighbours: the map is smooth and keeps its sides.
        assert np.corrcoef(at[:, 0], column)[0, 1] > 0.8 and np.corrcoef(at[:, 1], row)[0, 1] > 0.9


@pytest.mark.parametrize("shape", CUTS)
def test_prints_show_in_front_and_not_on_the_back(shape):
    green = []
    for yaw in (0.0, np.pi):
        view, shown, layers = worn(shape, yaw)
        own = np.isin(view.person.layer[view.raster.triangle], [view.person.layers.index(name) for name in layers])
        colours = shown[own & view.raster.covered]
        green.append((colours[:, 1] > colours[:, 0]).mean())
    assert green[0] > 0.005 and green[1] < 0.1 * green[0]
    _, visible = flat_photos.flow_to_photo(view, flat_photos.lay(cloth(shape), SIZE), layers)
    assert visible.sum() < 0.1 * own.sum()


def test_bands_go_round_and_patterns_all_over_are_continued():
    plain = cloth("skirt")
    height, width = plain.picture.shape[:2]
    row, column = np.mgrid[:height, :width]
    figures = {"bands": row // 16 % 2, "checks": (row // 5 + column // 5) % 2}
    for name, figure in figures.items():
        picture = np.where(figure[..., None] > 0, np.uint8([220, 210, 200]), np.uint8([40, 50, 90]))
        back = dataclasses.replace(plain, picture=picture).back
        inner = cv2.erode((plain.alpha > 0.99).astype(np.uint8), np.ones((9, 9))) > 0
        light = (back.mean(-1) > 0.5)[inner]
        assert 0.35 < light.mean() < 0.65, name
        if name == "bands":
            assert (light == (figure > 0)[inner]).mean() > 0.9


def test_flat_pictures_lie_on_grounds_with_labels_landmarks_and_joints():
    generator = np.random.default_rng(0)
    for kind in flat_photos.GROUNDS:
        ground = flat_photos.ground(generator, kind, SIZE)
        assert ground.shape == (*SIZE, 3) and ground.min() >= 0 and ground.max() <= 1
    with pytest.raises(ValueError, match="sand"):
        flat_photos.ground(generator, "sand", SIZE)
    labels = {"sleeved": "upper-clothes", "sleeveless": "dress", "trousers": "pants", "skirt": "skirt"}
    for shape, label in labels.items():
        flat = flat_photos.lay(cloth(shape), SIZE)
        assert set(np.unique(flat.segmentation)) == {0, segmentation.ID[label]}
        assert set(flat.landmarks) == set(garment_outlines.CORNERS[shape])
        near = cv2.dilate(flat.segmentation, np.ones((7, 7), np.uint8))
        assert all(near[round(y), round(x)] for x, y in flat.landmarks.values())
        points, visible = flat.keypoints()
        assert not visible[ID["nose"]] and visible[ID["left-knee"]] == (shape == "trousers")
    points, visible = flat_photos.lay(cloth("sleeved"), SIZE).keypoints()
    both = [ID["right-shoulder"], ID["left-shoulder"]]
    assert visible[both].all() and points[both[1], 0] > points[both[0], 0] + 30  # the wearer's right is at the left
    assert not visible[ID["left-wrist"]]
    with pytest.raises(ValueError, match="pixels"):
        flat_photos.flow_to_photo(worn("sleeved", 0.0)[0], flat_photos.lay(cloth("sleeved"), (128, 96)), ["top"])


def test_shipped_garments():
    folder = photo_cloth.FOLDER
    names = photo_cloth.names()
    assert len(names) >= 250 and {path.stem for path in folder.glob("*.jpg")} == set(names)
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 6_000_000
    by_split = {split: photo_cloth.names(split) for split in examples.SPLITS}
    sources = {
        split: {photo_cloth._index(folder)[name]["source"] for name in given} for split, given in by_split.items()
    }
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not sources[one] & sources[other]
    for split in examples.SPLITS:
        for kind in ("top", "trousers", "skirt", "dress"):
            assert photo_cloth._of_kind(split, kind, folder), (split, kind)
    for name in names[::60]:
        found = photo_cloth.read(name)
        assert found.score >= garment_photos.THRESHOLDS.least and found.alpha.mean() > 0.2
        # What is stored is the layout of today.
        cut = garment_photos.cut_outline(found.shape, found.cuts, found.arms)
        np.testing.assert_allclose(cut.control_points(garment_photos._STEP) * [1, -1], found.points, atol=1e-3)
        assert (found.texture == dataclasses.replace(found).texture).all()
    with pytest.raises(KeyError):
        photo_cloth.read("nothing")
    assert (assets.FOLDER / "garments" / "leave_out.txt").exists()


def test_samples_keep_what_was_drawn_of_sleeves_and_legs():
    generator = np.random.default_rng(0)
    for _ in range(20):
        cuts = garments.sample_cuts(generator, 0.0, "casual")
        found = photo_cloth.sample(generator, cuts, "train", 1.0)
        assert found[1].kind == cuts[1].kind and found[0].loose == cuts[0].loose
        assert found[1].cloth is not None
        if cuts[1].kind == "dress":
            assert found[0].cloth is found[1].cloth
        assert photo_cloth.sample(generator, cuts, "train", 0.0) == cuts


def test_examples_lend_photos(monkeypatch):
    monkeypatch.setattr(exchanges, "PHOTO", 1.0)
    for number in (0, 20):
        one, same = (examples.draw(number, "validation", (128, 96)) for _ in range(2))
        for name, array in one.items():
            np.testing.assert_array_equal(array, same[name])
        kind = segmentation.GARMENT_TYPES[int(one["garment_type"])]
        if kind == "outfit":
            continue
        given = segmentation.region(one["flat_segmentation"], segmentation.GARMENT_LABELS[kind]).astype(np.uint8)
        row, column = np.nonzero(one["flat_flow_visible"])
        x, y = np.rint(np.stack([column, row]) + one["flat_flow"][row, column].T).astype(int)
        assert cv2.dilate(given, np.ones((3, 3)))[y, x].all()
    assert set(textures.PATTERNS)  # cloth that repeats stays
