"""Pictures for people: colours mean what the legend says, and nothing crashes on odd input."""

import numpy as np
import pytest

from vton_jax.core import keypoints, segmentation
from vton_jax.media import visualize


def test_colour_segmentation():
    labels = np.arange(18).reshape(2, 3, 3)
    np.testing.assert_array_equal(visualize.colour_segmentation(labels).reshape(18, 3), segmentation.PALETTE)
    for unknown in (np.array([[255]], np.uint8), np.array([[-1]]), np.array([[300]]), np.array([[18]])):
        assert visualize.colour_segmentation(unknown)[0, 0].tolist() == segmentation.UNKNOWN_COLOUR.tolist()


def test_skeleton_is_drawn_where_the_bones_are():
    image = np.ones((100, 80, 3), np.float32)
    points, visible = np.zeros((18, 2), np.float32), np.zeros(18, bool)
    for name, at in (("neck", (40, 20)), ("right-shoulder", (20, 20)), ("right-elbow", (20, 60))):
        points[keypoints.ID[name]], visible[keypoints.ID[name]] = at, True
    drawn = visualize.draw_skeleton(image, points, visible)
    assert drawn.dtype == np.uint8 and drawn.shape == (100, 80, 3) and image.min() == 1
    assert drawn[20, 30].tolist() == visualize.BONE_COLOURS[0].tolist()
    assert drawn[40, 20].tolist() == visualize.BONE_COLOURS[1].tolist()
    assert (drawn[70:] == 255).all() and (drawn[:, 50:] == 255).all()  # joints that are missing at (0, 0): no bones
    assert (visualize.draw_skeleton(image, points, visible & False) == 255).all()
    assert len({tuple(colour) for colour in visualize.BONE_COLOURS.tolist()}) == 17
    visualize.draw_skeleton(image, np.full((18, 2), np.nan), np.ones(18, bool))
    visualize.draw_skeleton(image, np.full((18, 2), 1e12), np.ones(18, bool))


def test_colour_flow():
    flow = np.zeros((1, 5, 2), np.float32)
    flow[0, 1], flow[0, 2], flow[0, 3], flow[0, 4] = (4, 0), (-4, 0), (2, 0), (0, 4)
    colours = visualize.colour_flow(flow, 4)[0].tolist()
    assert colours[0] == [255, 255, 255]
    assert colours[1] == [255, 0, 0]  # right is red, left its complement
    assert colours[2] == [0, 255, 255]
    assert colours[3] == [255, 128, 128]
    assert colours[4] == [128, 255, 0]  # down: a quarter of the wheel
    assert (visualize.colour_flow(np.zeros((2, 4, 5, 2))) == 255).all()
    assert visualize.colour_flow(np.full((4, 5, 2), np.nan)).shape == (4, 5, 3)


def test_contact_sheet():
    red = np.full((50, 90, 3), (255, 0, 0), np.uint8)
    rows = [[red, None, np.zeros((10, 10), np.float32)], [np.ones((300, 20, 3), np.float32) * 0.5]]
    sheet = visualize.contact_sheet(rows, ["user", "a garment with a long name"], ["pose", "x" * 60, "flow"], (64, 48))
    assert sheet.dtype == np.uint8 and sheet.ndim == 3
    assert (sheet == (255, 0, 0)).all(-1).sum() == 48 * 27  # its aspect ratio is kept
    plain = visualize.contact_sheet(rows, cell=(64, 48))
    assert plain.shape == (2 * 72 + 8, 3 * 56 + 8, 3)
    assert sheet.shape[0] > plain.shape[0] and sheet.shape[1] > plain.shape[1]
    visualize.contact_sheet([])


@pytest.mark.parametrize("size", [(120, 200), (40, 60), (300, 300)])
@pytest.mark.parametrize("errors", [[], [0.5], [0.0, 0.0], np.exp(-np.arange(50) / 9), [1.0, np.nan, np.inf, 0.5]])
def test_error_curve(errors, size):
    plot = visualize.error_curve(errors, size)
    assert plot.shape == (*size, 3) and plot.dtype == np.uint8
    red = (plot[..., 0] > plot[..., 1].astype(int) + 90).any()
    assert red == bool(len(errors))


def test_error_curve_falls_from_left_to_right():
    plot = visualize.error_curve(np.linspace(1, 0.2, 30), (200, 300)).astype(int)
    y, x = np.nonzero(plot[..., 0] > plot[..., 1] + 90)
    assert y[x < np.percentile(x, 10)].mean() + 50 < y[x > np.percentile(x, 90)].mean()
    growing = visualize.error_curve([1.0, 0.9], (200, 300), num_iterations=100, max_error=1.0).astype(int)
    x = np.nonzero(growing[..., 0] > growing[..., 1] + 90)[1]
    assert x.max() < 100
