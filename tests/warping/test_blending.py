"""How flow and picture come together: which pixels show the garment, and what fills it."""

import jax
import numpy as np

from vton_jax.core import geometry, segmentation
from vton_jax.warping import blending


def pictures(size, channels=3, seed=0):
    return np.random.default_rng(seed).random((2, *size, channels), np.float32)


# Each is compiled whole: its operations one by one take far longer.
place_dress, blend_after = jax.jit(blending.place_dress), jax.jit(blending.blend_after, static_argnames="thresholds")


def test_garment_mask_covers_what_each_type_covers():
    types = segmentation.GARMENT_TYPES
    every = np.broadcast_to(np.arange(segmentation.NUM_LABELS), (len(types), 1, segmentation.NUM_LABELS))
    of_types = lambda of: jax.jit(of)(every, np.arange(len(types)))  # noqa: E731
    masks, targets = (np.asarray(of_types(of)) for of in (blending.garment_mask, blending.target_mask))
    for index, name in enumerate(types):
        assert set(np.flatnonzero(masks[index, 0])) == set(segmentation.GARMENT_LABELS[name])
        assert set(np.flatnonzero(targets[index, 0])) == set(segmentation.TARGET_LABELS[name])
    # Beside a dress or an outfit nothing is worn: all garments of the target show it, but a scarf, which is no garment
    # to give, and comes off for none.
    scarf = segmentation.ID["scarf"]
    assert set(segmentation.GARMENT_LABELS["dress"]) == {segmentation.ID["dress"]}
    for name in ("dress", "outfit"):
        assert set(segmentation.TARGET_LABELS[name]) == set(segmentation.GARMENTS) - {scarf}
    for of in (segmentation.GARMENT_LABELS, segmentation.REPLACED_LABELS, segmentation.TARGET_LABELS):
        assert all(scarf not in labels for labels in of.values())


def re_map_outputs(dress, dx, mask):
    flow = np.broadcast_to(np.float32([dx, 0]), (*dress.shape[:3], 2))
    warped = np.asarray(jax.jit(geometry.warp)(dress, flow))
    return {"flow": flow, "warped": warped, "mask": np.full((*dress.shape[:3], 1), mask, np.float32)}


def test_place_dress():
    shirt = segmentation.LABELS.index("upper-clothes")
    worn = np.zeros((2, 6, 8), bool)
    worn[:, 1:5, 3:6] = True
    s_dress = np.eye(segmentation.NUM_LABELS, dtype=np.float32)[np.where(worn, shirt, 0)]
    dress = np.where(worn[..., None], 0.5 * pictures((6, 8)), np.float32(1))
    target = np.roll(worn, -1, 2)
    # One pixel to the left in the target: it reads its right neighbour.
    placed = place_dress(re_map_outputs(dress, 1, 1.0), dress, s_dress, target)
    np.testing.assert_allclose(placed["dress_image"], np.roll(dress, -1, 2), atol=1e-6)
    np.testing.assert_array_equal(np.asarray(placed["s_dress"]).argmax(-1), np.where(target, shirt, 0))
    # Where the mask trusts nothing, the dress's mean colour stands in; outside the garment it is white.
    placed = place_dress(re_map_outputs(dress, 1, 0.0), dress, s_dress, target)
    for n in range(2):
        mean = np.asarray(dress[n])[worn[n]].mean(0)
        np.testing.assert_allclose(np.asarray(placed["dress_image"][n])[target[n]], np.tile(mean, (12, 1)), atol=1e-5)
        assert (np.asarray(placed["dress_image"][n])[~target[n]] == 1).all()
    nobody = np.eye(segmentation.NUM_LABELS, dtype=np.float32)[np.zeros(worn.shape, int)]
    empty = place_dress(re_map_outputs(dress, 0, 0.5), dress, nobody, target)
    assert np.isfinite(empty["dress_image"]).all()


def test_blend_after_touches_only_the_garment():
    image, dress = pictures((6, 8)), pictures((6, 8), seed=1)
    inside = np.zeros((2, 6, 8), np.float32)
    inside[:, 2:4] = 1
    out = np.asarray(blend_after(image, re_map_outputs(dress, 0, 1.0), inside))
    np.testing.assert_allclose(out[:, 2:4], dress[:, 2:4], atol=1e-6)
    np.testing.assert_array_equal(out[:, :2], image[:, :2])
    half_way = np.asarray(blend_after(image, re_map_outputs(dress, 0, 0.5), inside))
    np.testing.assert_allclose(half_way[:, 2:4], (image + dress)[:, 2:4] / 2, atol=1e-6)


def half_known_shirt():
    """A shirt, red above and blue below, of which the flow knows all but a hole and the hem; its mean is purple."""
    rows, columns = np.mgrid[:64, :48]
    inside = (rows >= 8) & (rows < 56) & (columns >= 10) & (columns < 38)
    shirt = np.where((rows < 28)[..., None], np.float32([1, 0, 0]), np.float32([0, 0, 1]))
    hidden = (rows >= 48) | ((rows >= 14) & (rows < 20) & (columns >= 20) & (columns < 26))
    painted = np.broadcast_to(np.float32([0.5, 0, 0.5]), (1, 64, 48, 3))
    return painted, {"warped": shirt[None], "mask": np.float32(~hidden)[None, ..., None]}, inside[None]


def test_where_the_flow_is_not_trusted_the_cloth_around_goes_on():
    painted, re_map, garment_out = half_known_shirt()
    rows, inside = np.mgrid[:64, :48][0], garment_out[0]
    shirt, hidden = re_map["warped"][0], re_map["mask"][0, ..., 0] == 0
    widely = blending.Thresholds(around=6 / 64)
    out = np.asarray(blend_after(painted, re_map, garment_out, thresholds=widely))[0]
    error = np.abs(out - shirt).max(-1)
    assert error[inside & ~hidden].max() < 1e-5 and error[inside & hidden & (rows < 52)].max() < 0.15
    assert (out[~inside] == painted[0][~inside]).all()
    # Nothing is trusted: the painter's colours stay.
    nothing = blend_after(
        painted, re_map | {"mask": np.zeros((1, 64, 48, 1), np.float32)}, garment_out, thresholds=widely
    )
    np.testing.assert_array_equal(nothing, painted)


def test_how_far_cloth_goes_on_does_not_depend_on_the_size():
    large = lambda maps: np.repeat(np.repeat(maps, 4, 1), 4, 2)  # noqa: E731
    painted, re_map, garment_out = half_known_shirt()
    small = blend_after(painted, re_map, garment_out)
    out = blend_after(large(painted), {n: large(maps) for n, maps in re_map.items()}, large(garment_out))
    means = np.asarray(out).reshape(1, 64, 4, 48, 4, 3).mean((2, 4))
    difference = np.abs(means - np.asarray(small))
    assert difference.mean() < 0.005 and np.abs(np.asarray(small) - painted).mean() > 0.1
