"""Styles: outfits follow them as often as is said, and differ in what they allow."""

import colorsys

import numpy as np
import pytest

from vton_jax.catalogue import garments, styles, textures


@pytest.mark.parametrize("name", styles.COLOURS)
def test_shades_lie_about_their_colour(name):
    generator = np.random.default_rng(0)
    known = np.float32(colorsys.hsv_to_rgb(*styles.COLOURS[name]))
    shades = np.stack([styles.colour(generator, name) for _ in range(40)])
    assert shades.min() >= 0 and shades.max() <= 1 and np.abs(shades.mean(0) - known).max() < 0.06


def test_choices_are_free_as_often_as_is_said():
    generator = np.random.default_rng(0)
    anything = tuple(range(1000))
    found = [styles.choose(generator, (-1,), anything) for _ in range(4000)]
    assert np.mean(np.array(found) >= 0) == pytest.approx(styles.FREE, abs=0.03)
    assert styles.choose(generator, (), (7,)) == 7


@pytest.mark.parametrize("style", styles.STYLES)
def test_outfits_are_of_their_style_more_often_than_of_chance(style, monkeypatch):
    monkeypatch.setattr(textures, "cloth", lambda generator, pattern, colours, *rest, **more: (pattern, colours[0]))
    rules, generator = styles.STYLES[style], np.random.default_rng(1)
    cuts = [garments.sample_cuts(generator, 0.0, style) for _ in range(150)]
    inside = np.mean([min(abs(top.sleeve - allowed) for allowed in rules.sleeves) < 0.05 for top, _ in cuts])
    assert inside > 0.55
    if not rules.skirts:
        assert np.mean([lower.kind == "trousers" for _, lower in cuts]) > 0.7
    looks = textures.Looks(*[None] * 3, tone=0.5)
    worn = [textures.sample_textures(generator, looks, ("skin", "eyes", "top"), style)["top"] for _ in range(200)]
    patterns, colours = zip(*worn, strict=True)
    allowed = np.array([colorsys.hsv_to_rgb(*styles.COLOURS[name]) for name in rules.tops])
    apart = np.linalg.norm(np.stack(colours)[:, None] - allowed, axis=-1).min(1)
    assert (apart < 0.2).mean() > 0.55
    assert np.mean([pattern in rules.patterns for pattern in patterns]) > 0.6


def test_all_names_exist():
    for rules in styles.STYLES.values():
        assert {*rules.tops, *rules.lowers, *rules.shoes} <= styles.COLOURS.keys()
        assert set(rules.patterns) <= set(textures.PATTERNS)
