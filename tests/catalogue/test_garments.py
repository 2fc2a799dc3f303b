"""Garments by rule: cuts end where their numbers say, cloth lies outside of the body, and hides it."""

import dataclasses

import numpy as np
import pytest

from vton_jax.catalogue import bodies, camera, garments, people, poses, styles, views
from vton_jax.catalogue.garments import Cut
from vton_jax.core import segmentation

SIZE = (256, 192)
TOP, TROUSERS = Cut("top"), Cut("trousers")


def one(cut: Cut) -> garments.Garment:
    (found,) = garments.outfit(*((cut, None) if cut.kind == "top" else (None, cut)))
    return found


@pytest.mark.parametrize("sleeve", [0.45, 0.75, 1.2, 1.9])
def test_sleeves_end_where_the_cut_says(sleeve):
    top = one(dataclasses.replace(TOP, sleeve=sleeve))
    sheet, kept = garments._sheet("helper-tights"), top.keep > 0
    arms = sheet.arm > 0.6
    reached = sheet.along_arm[arms & kept]
    assert sleeve - 0.12 < reached.max() < sleeve and (sheet.along_arm[arms & ~kept] > sleeve - 0.05).all()
    bare = one(dataclasses.replace(TOP, sleeve=0.0))
    assert not (bare.keep[arms] > 0).any()


@pytest.mark.parametrize("hem", [-0.15, 0.1, 0.3])
def test_hems_and_legs_end_where_the_cut_says(hem):
    sheet = garments._sheet("helper-tights")
    trunk = sheet.arm < 0.1
    up = sheet.up[trunk & (one(dataclasses.replace(TOP, hem=hem)).keep > 0)]
    assert hem < up.min() < hem + 0.05
    leg = 1.2 + hem
    kept = one(dataclasses.replace(TROUSERS, leg=leg)).keep > 0
    assert leg - 0.06 < sheet.along_leg[kept].max() < leg
    assert sheet.up[kept].max() < TROUSERS.waist
    deep, high = (one(dataclasses.replace(TOP, neck_depth=depth)).keep > 0 for depth in (0.6, 0.0))
    front = (sheet.neutral[:, 2] > 0.5) & (np.abs(sheet.neutral[:, 0]) < 0.3)
    assert sheet.up[front & deep].max() < sheet.up[front & high].max() - 0.05


def test_what_is_worn_under_and_over():
    top, trousers = garments.outfit(TOP, TROUSERS)
    sheet = garments._sheet("helper-tights")
    assert sheet.up[trousers.keep > 0].max() < TOP.hem + 0.06  # nothing pokes through the top
    assert (top.label, trousers.label) == (segmentation.ID["upper-clothes"], segmentation.ID["pants"])
    dress = garments.outfit(TOP, Cut("dress", leg=0.8))
    assert {piece.label for piece in dress} == {segmentation.ID["dress"]} and len(dress) == 2
    assert garments.outfit(TOP, Cut("skirt"))[1].label == segmentation.ID["skirt"]


@pytest.mark.parametrize("seed", range(4))
def test_cloth_lies_outside_of_the_body_and_looser_cloth_farther(seed):
    body = bodies.shape(bodies.sample_identity(np.random.default_rng(seed)))
    sheet = garments._sheet("helper-tights")
    skin = sheet.divided(body)
    trunk = (sheet.arm < 0.05) & (sheet.up > 0) & (sheet.up < 0.8)
    radius = lambda places: np.hypot(places[trunk, 0], places[trunk, 2])  # noqa: E731
    tight, loose = (radius(one(dataclasses.replace(TOP, loose=width)).fit(body)) for width in (0.02, 0.2))
    assert (tight >= radius(skin)).all() and (loose > tight).all() and (loose - tight).mean() > 0.15
    # Straight cloth hangs from the chest; clinging cloth follows the waist.
    straight, clinging = (radius(one(dataclasses.replace(TOP, cling=cling)).fit(body)) for cling in (0.0, 2.0))
    assert straight.mean() > clinging.mean() + 0.03
    assert np.isfinite(one(Cut("skirt")).fit(body)).all()


def test_textures_have_no_seam_but_where_cloth_has_one():
    """Triangles that touch have coordinates that touch, on the trunk in front."""
    top = one(TOP)
    corners, uv = top.triangles, top.uv.reshape(-1, 3, 2)
    assert np.ptp(uv[(top.keep[corners] > 0).any(1)], axis=1).max() < 0.2
    sheet = garments._sheet("helper-tights")
    front = (sheet.neutral[corners, 2].min(1) > 0.3) & (sheet.arm[corners].max(1) < 0.1)
    front &= sheet.up[corners].min(1) > 0.02  # above the legs, where trousers have theirs
    by_vertex = {}
    for triangle, places in zip(corners[front], uv[front], strict=True):
        for vertex, place in zip(triangle, places, strict=True):
            np.testing.assert_allclose(by_vertex.setdefault(vertex, place), place, atol=1e-9)
    assert len(by_vertex) > 300


def test_no_skin_shows_through_cloth():
    """Of trunks below tops, whatever is worn and however somebody stands."""
    covered = specks = 0
    for seed in range(14):
        generator = np.random.default_rng(seed)
        who = bodies.sample_identity(generator)
        person = people.dress(who, garments.sample(generator, who.gender, styles.sample(generator)))
        view = views.view_of(person, poses.sample_pose(generator), camera.frame(SIZE, person.height), SIZE)
        covered += view.raster.covered.sum()
        skin = view.raster.covered & (person.layer[view.raster.triangle] == 0)
        x, y, _ = np.moveaxis(view.surface, -1, 0)
        specks += (skin & (y > 1.6) & (y < 3.6) & (np.abs(x) < 1.2)).sum()
    assert specks < 0.001 * covered


def test_all_kinds_are_worn_by_women_and_tops_with_trousers_by_men():
    generator = np.random.default_rng(0)
    outfits = [garments.sample(generator, g, styles.sample(generator)) for _ in range(60) for g in (0.0, 1.0)]
    women, men = outfits[::2], outfits[1::2]
    assert {piece.name for outfit in women for piece in outfit} == {
        "top",
        "trousers",
        "skirt",
        "dress/top",
        "dress/skirt",
    }
    assert {piece.name for outfit in men for piece in outfit} == {"top", "trousers"}
    assert len({outfit[0].cut.sleeve for outfit in outfits}) >= 5
