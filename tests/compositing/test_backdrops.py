"""What lies behind the person in a photo, against places whose truth is known."""

import numpy as np
import pytest

from vton_jax.compositing import backdrops, full_size, kept_parts
from vton_jax.core import framing
from vton_jax.core.types import Dressed, Layout, User

SIZE = (128, 96)


def place(size=SIZE, period=16, light=0.0) -> np.ndarray:
    """A tiled wall, every tile drawn alike; `light` brighter on the right than on the left."""
    tile = np.random.default_rng(0).uniform(0.2, 0.6, (period, period, 3)).astype(np.float32)
    wall = np.tile(tile, (size[0] // period + 1, size[1] // period + 1, 1))[: size[0], : size[1]]
    return wall + light * np.linspace(0, 1, size[1], dtype=np.float32)[:, None]


def person(size=SIZE) -> np.ndarray:
    labels = np.zeros(size, np.uint8)
    height, width = size
    labels[height // 5 : -height // 8, 3 * width // 8 : 5 * width // 8] = 4
    return labels


def before(wall: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The photo of a black person."""
    return np.where(labels[..., None] > 0, np.float32(0), wall)


def test_a_wall_goes_on_behind_somebody_tile_by_tile():
    wall, labels = place(), person()
    found = backdrops.backdrop(before(wall, labels), labels)
    hole = labels > 0
    assert np.abs(found.picture - wall)[hole].mean() < 0.02
    smooth = backdrops.backdrop(before(wall, labels), labels, moving=True)
    assert np.abs(smooth.picture - wall)[hole].mean() > 0.08 and not smooth.copied.any()
    np.testing.assert_array_equal(found.picture[:, :24], wall[:, :24])  # what is seen stays


def test_every_pixel_is_copied_from_where_the_flow_leads_and_nobody_stands():
    wall, labels = place(), person()
    found = backdrops.backdrop(before(wall, labels), labels)
    copied = found.copied > 0
    assert copied.mean() > 0.6 * (labels > 0).mean()
    ys, xs = np.nonzero(copied)
    columns, rows = (found.flow[ys, xs] + np.stack([xs, ys], 1)).astype(int).T
    assert (found.hole[rows, columns] < 0.5).all()
    np.testing.assert_allclose(found.picture[ys, xs], wall[rows, columns], atol=0.03)


def test_colours_meet_those_around_where_light_falls_from_one_side():
    """Tiles are copied from the darker left."""
    wall, labels = place(light=0.4), person()
    photo, hole = before(wall, labels), labels > 0
    shifts = np.where(hole[..., None], [0, -32], 0)
    filled = backdrops.fill_by_shifts(photo, hole, shifts)
    assert np.abs(filled - wall)[hole].mean() < 0.01 < 0.1 < np.abs(np.roll(photo, 32, 1) - wall)[hole].mean()


def test_what_is_not_the_photos_own_is_never_copied():
    wall, labels = place(), person()
    photo, shown = before(wall, labels), np.ones(SIZE, bool)
    shown[:, :20] = False
    photo[:, :20] = [1, 0, 0]
    shifts = backdrops.find_shifts(photo, labels > 0, shown)
    rows, columns = np.moveaxis(shifts[labels > 0], -1, 0) + np.nonzero(labels)
    assert shown[rows, columns].all() and (labels[rows, columns] == 0).all()


def test_nothing_of_somebody_stays_in_rows_that_they_fill_from_side_to_side():
    """Beside arms held out there is no place that could go on; the hole is filled from above and below."""
    wall, labels = place(), person()
    labels[40:80] = 4
    found = backdrops.backdrop(before(wall, labels), labels)
    assert found.picture[labels > 0].min() > 0.1  # nobody is black
    ys, xs = np.nonzero(found.copied)
    columns, rows = (found.flow[ys, xs] + np.stack([xs, ys], 1)).astype(int).T
    assert len(ys) and (found.hole[rows, columns] < 0.5).all()


@pytest.mark.parametrize("labels", [np.zeros(SIZE, np.uint8), np.full(SIZE, 4, np.uint8)], ids=["nobody", "all"])
def test_without_a_person_or_without_a_place_nothing_is_copied(labels):
    wall = place()
    found = backdrops.backdrop(wall, labels)
    assert not found.copied.any() and np.isfinite(found.picture).all()
    if not labels.any():
        np.testing.assert_array_equal(found.picture, wall)


@pytest.mark.parametrize("size", [(64, 48), (51, 37), (256, 192)])
def test_any_size_is_filled(size):
    wall, labels = place(size), person(size)
    found = backdrops.backdrop(before(wall, labels), labels)
    assert found.picture.shape == (*size, 3) and np.abs(found.picture - wall)[labels > 0].mean() < 0.1


def test_enlarged_what_is_copied_regains_its_detail():
    """Tiles finer than the networks' pixels, behind somebody who has left."""
    large = (4 * SIZE[0], 4 * SIZE[1])
    wall, labels = place(large, period=64), person()
    photo = before(wall, np.kron(labels, np.ones((4, 4), np.uint8)))
    small, nothing = framing.resize(photo, SIZE), np.zeros(SIZE, np.float32)
    user = User(small, Layout(labels, None, None), None, np.ones(SIZE, bool), backdrops.backdrop(small, labels))
    empty, flow = np.zeros_like(labels), np.zeros((*SIZE, 2), np.float32)
    keep = kept_parts.kept(labels, empty, np.eye(18, dtype=np.float32)[0], 3)
    white = [(np.ones_like(small), np.ones_like(photo))]
    found = []
    for backdrop in (user.backdrop, user.backdrop.replace(copied=nothing)):
        painted = Dressed(np.ones_like(small), empty, flow, nothing, nothing, flow, nothing)
        out = kept_parts.compose(painted, user.replace(backdrop=backdrop), keep)
        out = full_size.enlarge(np.asarray(out.image, np.float32), out, (small, photo), white)
        inside = np.kron(user.backdrop.copied, np.ones((4, 4))) > 0
        off = np.abs(np.asarray(out) - wall)
        found.append((off[inside].mean(), off.max()))
    # Nothing comes from elsewhere where two shifts meet, or where the hole ends.
    assert found[0][0] < 0.5 * found[1][0] and found[0][1] <= found[1][1] + 0.01
