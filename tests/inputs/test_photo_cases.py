"""Try-on cases made from photos: the donor warped by the true flow is the photo's garment, and what else must hold."""

import numpy as np
import pytest

from vton_jax.core import geometry, segmentation
from vton_jax.inputs import photo_cases

SIZE = (96, 72)
UPPER, PANTS, FACE, ARM = (segmentation.ID[n] for n in ("upper-clothes", "pants", "face", "left-arm"))


def photos(count: int = 4, garments: bool = True):
    """Smooth pictures of blocks that stand for people, each with a garment of its own colours."""
    rng = np.random.default_rng(0)
    pictures, labels = [], []
    for _ in range(count):
        waves = photo_cases.cv2.resize(rng.uniform(60, 200, (9, 7, 3)).astype(np.float32), (160, 200))
        parsed = np.zeros((200, 160), np.uint8)
        parsed[20:45, 65:95] = FACE
        if garments:
            parsed[45:110, 50:110] = UPPER
            parsed[110:180, 55:105] = PANTS
        pictures.append(np.round(waves).astype(np.uint8))
        labels.append(parsed)
    return pictures, labels


def test_a_smooth_warp_and_its_inverse_cancel():
    for seed in range(5):
        there, back = photo_cases.smooth_warp(SIZE, np.random.default_rng(seed), 5.0)
        again = photo_cases.sample(there, back)
        inside = ((back > 0) & (back < np.array(SIZE[::-1]) - 1)).all(-1)
        inside[:2] = inside[-2:] = False
        assert inside.mean() > 0.5
        assert np.abs(again - photo_cases.places(SIZE))[inside].max() < 0.3
        assert np.abs(there - photo_cases.places(SIZE)).max() > 1


def test_the_donor_warped_by_the_flow_is_the_garment_of_the_truth():
    cases = photo_cases.draw_cases(*photos(), 12, SIZE, seed=1)
    assert set(cases["garment_type"].tolist()) == {0, 1}
    for i in range(12):
        warped = np.asarray(geometry.warp(cases["donor_image"][i].astype(np.float32), cases["flow"][i]))
        seen = cases["flow_visible"][i]
        kind = segmentation.GARMENT_TYPES[cases["garment_type"][i]]
        mask = segmentation.region(cases["output_segmentation"][i], segmentation.GARMENT_LABELS[kind])
        assert seen.sum() > 0.5 * mask.sum() and not (seen & ~mask).any()
        truth = cases["output_image"][i].astype(np.float32)
        core = photo_cases.cv2.erode(seen.astype(np.uint8), np.ones((7, 7))) > 0  # the cut-out's edge is soft
        assert np.abs(warped - truth)[core].mean() < 3
        unmoved = np.abs(cases["donor_image"][i] - truth)[core].mean()
        assert unmoved > 1.5 * np.abs(warped - truth)[core].mean()


def test_the_user_wears_another_garment_and_keeps_the_rest(monkeypatch):
    monkeypatch.setattr(photo_cases, "CATALOGUE_FRACTION", 0.0)  # so that nobody moves
    cases = photo_cases.draw_cases(*photos(), 8, SIZE, seed=2)
    for i in range(8):
        kind = segmentation.GARMENT_TYPES[cases["garment_type"][i]]
        mask = segmentation.region(cases["output_segmentation"][i], segmentation.GARMENT_LABELS[kind]).astype(np.uint8)
        difference = np.abs(cases["input_image"][i].astype(float) - cases["output_image"][i]).mean(-1)
        assert difference[photo_cases.cv2.dilate(mask, np.ones((9, 9))) == 0].max() == 0
        assert difference[mask > 0].mean() > 8


def test_same_seed_same_cases_and_no_garment_no_case():
    first, again = (photo_cases.draw_cases(*photos(), 3, SIZE, seed=3) for _ in range(2))
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert (photo_cases.draw_cases(*photos(), 3, SIZE, seed=4)["flow"] != first["flow"]).any()
    with pytest.raises(ValueError, match="too few garments"):
        photo_cases.draw_cases(*photos(garments=False), 1, SIZE, seed=0)


def test_bare_limbs_are_often_hidden_from_above_and_the_truth_still_shows_them(monkeypatch):
    """So that who paints such a user has to make limbs as photos show them."""
    pictures, labels = photos()
    for parsed in labels:
        parsed[50:120, 112:124] = ARM
    monkeypatch.setattr(photo_cases, "CATALOGUE_FRACTION", 0.0)  # so that nobody moves
    changed = {}
    for fraction in (0.0, 1.0):
        monkeypatch.setattr(photo_cases, "COVERED_FRACTION", fraction)
        cases = photo_cases.draw_cases(pictures, labels, 12, SIZE, seed=5)
        upper = cases["garment_type"] == segmentation.GARMENT_TYPES.index("upper")
        assert 0 < upper.sum() < 12
        arms = cases["output_segmentation"] == ARM
        arms |= cases["output_segmentation"] == segmentation.MIRROR[ARM]
        difference = np.abs(cases["input_image"].astype(float) - cases["output_image"]).mean(-1)
        changed[fraction] = [difference[i][arms[i]] > 4 for i in np.flatnonzero(upper)]
        assert all(not (difference[i][arms[i]] > 4).any() for i in np.flatnonzero(~upper))
        for i in np.flatnonzero(upper) if fraction else ():
            rows = np.nonzero(arms[i])[0]
            hidden = difference[i][arms[i]] > 4
            assert rows[hidden].mean() < rows.mean() or hidden.mean() > 0.9
    # The soft edge of the garment beside it reaches a column of the arm.
    assert np.mean([part.mean() for part in changed[0.0]]) < 0.2 < 0.4 < np.mean([p.mean() for p in changed[1.0]])
    none = photo_cases.covered_limbs(labels[0], (segmentation.ID["right-leg"],), np.random.default_rng(0))
    assert not none.any()
