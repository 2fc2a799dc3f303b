"""Clothes of the library: they follow bodies, are labelled, and hide what they should."""

import numpy as np
import pytest

from vton_jax.catalogue import assets, bodies, camera, garments, people, poses, views, wardrobe
from vton_jax.core import segmentation
from vton_jax.core.keypoints import ID as JOINTS

ALL = (*wardrobe.SUITS, *wardrobe.SHOES, *wardrobe.HAIR, "fedora")
SIZE = (256, 192)


@pytest.mark.parametrize("name", ALL)
def test_it_lies_on_any_body_and_follows_its_bones(name):
    worn = wardrobe.read(name)
    np.testing.assert_allclose(worn.weights.sum(1), 1, atol=1e-5)
    assert (worn.weights >= 0).all() and worn.triangles.max() < len(worn.base)
    assert worn.triangles_uv.max() < len(worn.uv) and len(worn.triangles) == len(worn.triangles_uv)
    for seed in range(3):
        body = bodies.shape(bodies.sample_identity(np.random.default_rng(seed)))
        apart = worn.fit(body) - body[worn.base].mean(1)
        assert np.linalg.norm(apart, axis=1).max() < 3.5  # long hair hangs far from the head
    found = {segmentation.LABELS[label] for label in np.unique(worn.labels)}
    if name in wardrobe.SUITS:
        assert "upper-clothes" in found and len(found) == 2 and found & {"pants", "skirt"}
    elif name in wardrobe.SHOES:
        assert {"left-shoe", "right-shoe"} <= found <= {"left-shoe", "right-shoe", "left-leg", "right-leg"}
        middle = worn.fit(assets.base_mesh().vertices)[worn.triangles].mean(1)[:, 0]
        assert (middle[worn.labels == segmentation.ID["left-shoe"]] > 0).all()  # the person's own left
    else:
        assert found == {"hat" if name == "fedora" else "hair"}


def test_what_does_not_exist_is_named():
    with pytest.raises(ValueError, match="no such clothes, shoes or hair: cape"):
        people.dress(bodies.Identity(), ["cape"])


def test_no_skin_shows_through_cloth():
    """Long trousers and sleeves in many poses: of legs and trunk nothing is seen."""
    covered = specks = 0
    for seed, suit in enumerate(("male_casualsuit02", "male_casualsuit05", "male_elegantsuit01") * 3):
        generator = np.random.default_rng(seed)
        who = bodies.sample_identity(generator)
        person = people.dress(who, (suit, "shoes01"))
        pose = poses.sample_pose(generator)
        view = views.view_of(person, pose, camera.frame(SIZE, person.height), SIZE)
        covered += view.raster.covered.sum()
        specks += segmentation.region(view.segmentation, segmentation.LEGS).sum()
    assert specks < 0.001 * covered


def test_a_bare_trunk_is_no_cloth():
    """A short top leaves the belly bare; who wears nothing wears a leotard."""
    short, bare = (people.dress(bodies.Identity(gender=0.0), worn) for worn in (("female_sportsuit01",), ()))
    skin = short.labels[short.layer == 0]
    assert not segmentation.region(skin, segmentation.GARMENTS).any()
    assert segmentation.region(bare.labels, segmentation.GARMENTS).any()
    assert bare.layers == ("skin", "eyes")
    assert short.layers[2:] == ("female_sportsuit01/upper", "female_sportsuit01/lower")
    for name, label in (("upper", "upper-clothes"), ("lower", "pants")):
        own = short.layer == short.layers.index(f"female_sportsuit01/{name}")
        assert set(short.labels[own]) == {segmentation.ID[label]}


def test_socks_lie_below_trousers():
    for suit, seen in (("female_casualsuit01", False), ("female_elegantsuit01", True)):
        person = people.dress(bodies.Identity(gender=0.0), (suit, "shoes02"))
        shoes = person.labels[person.layer == person.layers.index("shoes02")]
        assert segmentation.region(shoes, segmentation.LEGS).any() == seen


def test_women_and_men_are_dressed_by_the_library_as_its_names_say():
    for seed in range(20):
        generator = np.random.default_rng(seed)
        woman, man = wardrobe.sample_suit(generator, 0.1), wardrobe.sample_suit(generator, 0.9)
        assert woman.startswith("female") and man.startswith("male")
        assert wardrobe.sample_shoes(generator) in wardrobe.SHOES


@pytest.mark.parametrize("gender", [0, 1])
def test_hair_is_as_frequent_as_stated(gender):
    generator = np.random.default_rng(0)
    found = [wardrobe.sample_hair(generator, float(gender)) for _ in range(2000)]
    kinds = [0 if not hair else 1 if hair[0].startswith("short") else 2 for hair in found]
    np.testing.assert_allclose(np.bincount(kinds) / 2000, wardrobe.HAIR_CHANCES[gender], atol=0.03)
    assert {name for hair in found for name in hair} == set(wardrobe.HAIR)


def test_ankles_are_skin_or_sock_below_short_trousers():
    """Shoes come with socks, which only long trousers hide."""
    for leg in (0.6, 1.4, 1.7):
        cut = garments.Cut("trousers", leg=leg)
        person = people.dress(bodies.Identity(), [*garments.outfit(None, cut), "shoes02"])
        view = views.view_of(person, poses.stand(), camera.frame((512, 384), person.height), (512, 384))
        points, _ = view.keypoints()
        for side in ("left", "right"):
            column, row = np.rint(points[JOINTS[f"{side}-ankle"]]).astype(int)
            assert (view.segmentation[row - 25 : row + 10, column] > 0).all()
