"""Temporal filters: what they calm and what they must leave alone."""

import numpy as np
import pytest

from vton_jax.compositing import temporal_filters


def moving_square(count=7, step=4, size=(64, 64)):
    """A textured square on a textured ground, moving `step` pixels a frame to the right."""
    rng = np.random.default_rng(0)
    ground = np.repeat(rng.uniform(0.7, 0.9, (8, 8, 1)).repeat(8, 0).repeat(8, 1), 3, -1)
    square = np.repeat(rng.uniform(0, 0.4, (10, 10, 1)).repeat(2, 0).repeat(2, 1), 3, -1)
    frames = np.repeat(ground[None], count, 0).astype(np.float32)
    for index in range(count):
        left = 8 + index * step
        frames[index, 20:40, left : left + 20] = square
    return frames


@pytest.mark.parametrize("name", temporal_filters.FILTERS)
def test_a_still_clip_stays_as_it_is(name):
    frames = np.repeat(moving_square(1), 5, 0)
    np.testing.assert_allclose(temporal_filters.apply(name, frames), frames, atol=1e-3)


def test_filters_calm_noise_on_a_still_clip():
    clean = np.repeat(moving_square(1), 9, 0)
    noisy = np.clip(clean + 0.03 * np.random.default_rng(1).normal(size=clean.shape), 0, 1).astype(np.float32)
    before = np.abs(noisy - clean).mean()
    for name in ("gaussian", "motion"):
        assert np.abs(temporal_filters.apply(name, noisy) - clean).mean() < 0.75 * before


def test_following_the_motion_leaves_fewer_ghosts():
    frames = moving_square()
    middle = slice(2, -2)
    ghosts = np.abs(temporal_filters.gaussian(frames) - frames)[middle].mean()
    followed = np.abs(temporal_filters.motion(frames) - frames)[middle].mean()
    assert followed < 0.45 * ghosts


def test_flicker_ignores_motion_and_sees_flicker():
    frames = moving_square()
    lamp = frames * (1 - 0.1 * (np.arange(len(frames)) % 2))[:, None, None, None]
    assert temporal_filters.flicker(frames) < 0.4 * temporal_filters.flicker(lamp.astype(np.float32))
    assert temporal_filters.flicker(frames[:1]) == 0


def test_following_the_motion_halves_flicker_that_moves_along():
    frames = moving_square(9, step=1)
    noise = np.repeat(np.random.default_rng(2).normal(0, 0.03, (9, 16, 16, 1)), 4, 1).repeat(4, 2)
    flickering = np.clip(frames + noise, 0, 1).astype(np.float32)
    calmed = temporal_filters.motion(flickering)
    assert temporal_filters.flicker(calmed) < 0.5 * temporal_filters.flicker(flickering)
    assert np.abs(calmed - frames).mean() < 0.8 * np.abs(flickering - frames).mean()


def test_an_unknown_filter_is_refused():
    with pytest.raises(ValueError, match="median"):
        temporal_filters.apply("median", moving_square(2))


@pytest.mark.parametrize("name", temporal_filters.FILTERS)
def test_a_stream_is_filtered_as_a_clip(name, monkeypatch):
    frames = moving_square(24, step=1)
    numbered = list(temporal_filters.stream(name, enumerate(frames), lambda item: item[1]))
    assert [number for (number, _), _ in numbered] == list(range(24))
    whole = temporal_filters.apply(name, frames)
    np.testing.assert_array_equal(np.stack([image for _, image in numbered]), whole)
    monkeypatch.setattr(temporal_filters, "WINDOW", 7)
    monkeypatch.setattr(temporal_filters, "AHEAD", 5)
    taken = []
    stream = temporal_filters.stream(name, (taken.append(0) or frame for frame in frames), lambda frame: frame)
    parts = [next(stream)[1]]
    assert len(taken) <= 12  # no more is held than a window and what it looks at
    parts += [image for _, image in stream]
    assert len(parts) == 24
    if name == "motion":
        assert np.abs(np.stack(parts) - whole).mean() < 0.15 * np.abs(frames - whole).mean() + 1e-3
    else:
        np.testing.assert_allclose(np.stack(parts), whole, atol=1e-6)
    assert not list(temporal_filters.stream(name, [], lambda frame: frame))
