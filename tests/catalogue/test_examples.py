"""Examples: complete samples whose output is the user in the donor's garment, with the flow that moves it there."""

import cv2
import numpy as np
import pytest

from vton_jax.catalogue import characters, examples, exchanges
from vton_jax.core import segmentation
from vton_jax.inputs import input_pipeline

SIZE = (128, 96)
NUMBERS = (0, 7, 14, 21, 28, 150, 345)  # of all types of garment


@pytest.fixture(scope="module")
def whole():
    return [examples.draw(number, size=SIZE) for number in NUMBERS]


@pytest.fixture(scope="module")
def drawn(whole):
    """Every donor of every example."""
    return [
        examples.sample(example, flat=flat)
        for example in whole
        for flat in (False, True)
        if examples.lies_flat(example) or not flat
    ]


def test_several_pieces_do_not_lie_flat(whole):
    for example in whole:
        kind = segmentation.GARMENT_TYPES[int(example["garment_type"])]
        assert examples.lies_flat(example) == (kind != "outfit")
    outfit = next(example for example in whole if not examples.lies_flat(example))
    assert not outfit["flat_flow"].any() and not outfit["flat_flow_visible"].any()
    with pytest.raises(ValueError, match="do not lie flat"):
        examples.sample(outfit, flat=True)


def test_places_say_where_joints_are_that_are_not_seen_too(whole):
    hidden = 0
    for example in whole:
        for shot in ("input", "output", "worn", "flat"):
            visible, places = example[f"{shot}_visible"], example[f"{shot}_places"]
            np.testing.assert_array_equal(places[visible], example[f"{shot}_keypoints"][visible])
            hidden += int((np.abs(places).max(-1) > 0)[~visible].sum())
    assert hidden > 20


def test_what_an_example_is_says_how_far_sleeves_reach():
    """What is given reaches as far on the user as on the donor; trousers alone have none."""
    abouts = [exchanges.about(number) for number in range(60)]
    for kind, flat in (("upper", True), ("dress", True), ("lower", False)):
        of = [about for about in abouts if about["garment_type"] == kind]
        assert of
        for about in of:
            assert np.isfinite([about[f"{shot}_sleeve"] for shot in ("input", "output", "worn")]).all()
            assert np.isfinite(about["flat_sleeve"]) == flat
            same = ("output", "worn") if flat else ("input", "output")
            assert about[f"{same[0]}_sleeve"] == about[f"{same[1]}_sleeve"]


def test_people_are_no_larger_than_asked():
    """People who are cut off by default stand whole where that is asked for."""
    rows = [
        (examples.draw(9, size=(64, 48), closest=closest)["worn_segmentation"] > 0).any(1) for closest in (None, 0.6)
    ]
    assert rows[1].sum() < min(rows[0].sum(), 0.7 * 64) and not rows[1][[0, -1]].any()


def test_examples_share_users_and_donors_are_others():
    found = [exchanges.sample(np.random.default_rng(n), n, "train") for n in (0, exchanges.EXAMPLES_OF_ONE - 1)]
    assert found[0].user is found[1].user
    assert all(exchange.user is not exchange.donor for exchange in found)
    assert characters.character(0, "train").identity != characters.character(0, "test").identity


def test_they_are_samples_of_the_pipeline(drawn):
    for sample in drawn:
        assert set(sample) == {*input_pipeline.REQUIRED, *input_pipeline.OPTIONAL}
        for name, array in sample.items():
            if name.endswith("_image"):
                assert array.shape == (*SIZE, 3) and array.dtype == np.uint8
            elif name.endswith("_segmentation"):
                assert array.shape == SIZE and array.max() < segmentation.NUM_LABELS
        assert all(sample[f"{who}_visible"].any() for who in ("input", "output"))
    kinds = {segmentation.GARMENT_TYPES[int(sample["garment_type"])] for sample in drawn}
    assert len(kinds) >= 3 and {bool(sample["donor_flat"]) for sample in drawn} == {True, False}


def test_the_garment_is_in_every_picture_that_should_show_it(drawn):
    for sample in drawn:
        kind = segmentation.GARMENT_TYPES[int(sample["garment_type"])]
        given = segmentation.region(sample["donor_segmentation"], segmentation.GARMENT_LABELS[kind])
        worn = segmentation.region(sample["output_segmentation"], segmentation.TARGET_LABELS[kind])
        assert given.mean() > 0.01 and worn.mean() > 0.005
        np.testing.assert_array_equal(sample["dress_image"][~given], 255)
        np.testing.assert_array_equal(sample["dress_image"][given], sample["donor_image"][given])
        assert not sample["flow"][~worn].any() and not sample["flow_visible"][~worn].any()


def test_the_flow_leads_to_the_garment(drawn):
    """Nearly always: outlines are soft by a pixel."""
    hits = total = 0
    for sample in drawn:
        kind = segmentation.GARMENT_TYPES[int(sample["garment_type"])]
        given = segmentation.region(sample["donor_segmentation"], segmentation.GARMENT_LABELS[kind])
        given = cv2.dilate(given.astype(np.uint8), np.ones((3, 3)))
        row, column = np.nonzero(sample["flow_visible"])
        x, y = np.rint(np.stack([column, row]) + sample["flow"][row, column].T).astype(int)
        hits, total = hits + given[y, x].sum(), total + len(row)
    assert total > 3000 and hits > 0.98 * total


def test_user_and_place_stay(drawn):
    """Where nobody stands in either picture, the ground is the same but for what the camera adds."""
    for sample in drawn[:8]:
        free = (sample["input_segmentation"] == 0) & (sample["output_segmentation"] == 0)
        free &= np.arange(SIZE[0])[:, None] < SIZE[0] // 2  # shadows fall on the floor
        difference = np.abs(sample["input_image"].astype(int) - sample["output_image"])[free]
        assert np.median(difference) < 10


def test_same_number_same_bytes_and_splits_share_nobody():
    one, same = (examples.draw(3, "validation", SIZE) for _ in range(2))
    for name, array in one.items():
        np.testing.assert_array_equal(array, same[name])
    other = examples.draw(3, "test", SIZE)
    assert (one["input_image"] != other["input_image"]).mean() > 0.5
    with pytest.raises(ValueError):
        examples.draw(0, "holdout", SIZE)
