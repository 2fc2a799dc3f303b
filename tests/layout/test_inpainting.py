"""What is filled in: classes, regions and the garments that stay, on somebody of rectangles."""

import jax
import numpy as np
import pytest
from finet_people import SIZE, person

from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.segmentation import ID, LABELS
from vton_jax.layout import inpainting
from vton_jax.layout.inpainting import CLASSES, REGIONS

ONE = person()
PLACES = ONE["keypoints"], ONE["visible"]
_classes = jax.jit(inpainting.classes_of)
_mask = jax.jit(inpainting.region_mask)
_crop = jax.jit(inpainting.crop, static_argnums=2)
_context = jax.jit(inpainting.contextual_garments)


@pytest.fixture(scope="module")
def classes():
    return np.asarray(_classes(ONE["segmentation"].astype(np.int32), *PLACES))


def test_every_label_has_its_class():
    labels = np.tile(np.arange(len(LABELS), dtype=np.int32), (3, 1))
    found = np.asarray(_classes(labels, np.zeros((18, 2), np.float32), np.zeros(18, bool)))[0]
    named = {name: CLASSES[number] for name, number in zip(LABELS, found, strict=True)}
    assert named["hair"] == named["face"] == "head" and named["hat"] == "hat" and named["scarf"] == "top"
    assert named["skirt"] == named["pants"] == named["belt"] == "bottom" and named["left-shoe"] == "shoes"
    assert named["bag"] == named["background"] == "background" and named["right-arm"] == "arms"


@pytest.mark.parametrize("joints", [True, False])
def test_a_dress_is_a_top_above_the_hips_and_a_bottom_below(joints):
    labels = np.where(ONE["segmentation"] == ID["pants"], ID["dress"], 0).astype(np.int32)
    labels[13:35, 18:31] = ID["dress"]
    found = np.asarray(_classes(labels, PLACES[0], PLACES[1] & joints))
    rows = np.nonzero((found == CLASSES.index("bottom")).any(1))[0]
    middle = np.nonzero(labels)[0].mean()
    assert rows.min() == (35 if joints else int(np.floor(middle)) + 1)
    assert (found[: rows.min()][labels[: rows.min()] > 0] == CLASSES.index("top")).all()


@pytest.mark.parametrize("region", REGIONS)
def test_regions_hold_what_is_worn_and_leave_the_rest(classes, region):
    mask = np.asarray(_mask(classes, *PLACES, REGIONS.index(region)))
    worn = classes == CLASSES.index(region)
    assert (mask | ~worn).all() and 0 < mask.mean() < 0.5
    if region != "hat":
        assert not mask[classes == CLASSES.index("head")].any()
    assert mask[ONE["segmentation"] == ID["left-arm"]].all() == (region == "top")
    eyes = int(PLACES[0][JOINTS["left-eye"], 1])
    if region == "hat":
        assert not mask[eyes + 1 :].any() and mask[:eyes, 22:26].all()


def test_a_region_says_little_of_the_garment_that_was_there(classes):
    """Without sleeves the arms may be covered all the same; without joints the garment's own place is left."""
    bare = np.where(
        (classes == CLASSES.index("top")) & (np.abs(np.arange(SIZE[1]) - 24) > 7), CLASSES.index("arms"), classes
    )
    region = REGIONS.index("top")
    np.testing.assert_array_equal(_mask(bare, *PLACES, region), _mask(classes, *PLACES, region))
    blind = np.asarray(_mask(classes, PLACES[0], np.zeros(18, bool), region))
    around = np.isin(classes, [CLASSES.index(name) for name in ("top", "arms")])
    assert (blind | ~around).all() and blind.sum() < 2 * around.sum()


def test_crops_are_squares_around_the_garment():
    """Beside a slow reference: every pixel of the crop is the picture where it lies, or one."""
    picture = np.random.default_rng(0).random((40, 30, 2)).astype(np.float32)
    mask = np.zeros((40, 30), bool)
    mask[10:26, 4:12] = True
    found = np.asarray(_crop(picture, mask, 16))
    wanted = np.ones((16, 16, 2), np.float32)
    wanted[:, 4:12] = picture[10:26, 4:12]  # 16 rows and columns about the middle, one pixel each
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    half = np.asarray(_crop(np.full((40, 30, 1), 0.25, np.float32), mask, 8))
    assert (half[:, 3:5] == 0.25).all() and (half[:, [0, 7]] == 1).all()


def test_the_context_shows_the_others_alone(classes):
    image = ONE["image"].astype(np.float32) / 255
    region = REGIONS.index("top")
    found = np.asarray(_context(image, classes, region))
    by_garment = dict(zip(REGIONS, np.split(found, 4, -1), strict=True))
    assert (by_garment["top"] == 1).all() and (by_garment["hat"] == inpainting.ABSENT).all()
    pants = image[ONE["segmentation"] == ID["pants"]].mean(0)
    np.testing.assert_allclose(by_garment["bottom"][16, 16], pants, atol=0.02)
    assert list(np.asarray(jax.jit(inpainting.present)(classes))) == [False, True, True, True]
    changed = image.copy()
    changed[classes == CLASSES.index("top")] = 0
    np.testing.assert_array_equal(found, _context(changed, classes, region))
