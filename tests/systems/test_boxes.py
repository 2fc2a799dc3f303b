"""Boxes: of a busy picture the part is read that a box shows, and a picture is put back around it."""

import numpy as np
import pytest
from painted_system import SIZE, PaintedSystem

from vton_jax import TryOnJob
from vton_jax.core import boxes
from vton_jax.core.errors import UserError, WrongOption
from vton_jax.media import photo_files, video_files

BLUE, RED = (0, 90, 180), (180, 30, 0)


@pytest.fixture
def busy(tmp_path):
    """Two people side by side, and two garments one above the other; with options that name them."""
    person = np.full((*SIZE, 3), 255, np.uint8)
    person[8:56, 16:32] = 20
    two = np.concatenate([person, np.roll(person, 6, 1)], 1)
    rack = np.full((2 * SIZE[0], SIZE[1], 3), 255, np.uint8)
    rack[16:48, 12:36], rack[80:112, 12:36] = BLUE, RED
    photo_files.write_image(tmp_path / "two.png", two)
    photo_files.write_image(tmp_path / "rack.png", rack)
    names = {"person": str(tmp_path / "two.png"), "garment": str(tmp_path / "rack.png"), "framing": "pose"}
    return two, names


def test_what_is_in_the_box_is_dressed_and_put_back(busy, tmp_path):
    two, names = busy
    boxed = {"person_box": "0.5,0,1,1", "garment_box": "0, 0.5, 1, 1"}
    make = lambda name: TryOnJob(**names, **boxed, system=PaintedSystem()).write(tmp_path / name)  # noqa: E731
    make("out.png")
    made = photo_files.read_photo(tmp_path / "out.png")
    assert made.shape == two.shape
    np.testing.assert_array_equal(made[:, : SIZE[1]], two[:, : SIZE[1]])  # outside the box nothing changes
    dressed = made[20:50, SIZE[1] + 24 : SIZE[1] + 36].reshape(-1, 3)
    assert np.abs(dressed.mean(0) - RED).max() < 3  # the garment in its box, on the person in theirs
    make("out.mp4")  # of the networks' size: the box alone
    assert video_files.read_frames(tmp_path / "out.mp4")[0].shape[1:3] == SIZE


def test_a_mask_is_cut_as_its_picture(busy, tmp_path):
    from PIL import Image

    _, names = busy
    rack = photo_files.read_photo(names["garment"])
    alpha = np.where(rack.min(-1) < 200, 255, 0).astype(np.uint8)
    Image.fromarray(np.dstack([rack, alpha])).save(tmp_path / "cut.png")
    pictures = TryOnJob(**names | {"garment": str(tmp_path / "cut.png"), "garment_box": "0,0,1,0.5"}).pictures()
    given = pictures.garments[0]
    assert given.mask.shape == given.picture.shape[:2] == SIZE
    np.testing.assert_array_equal(given.mask, given.picture.min(-1) < 200)
    assert given.part.whole.shape == rack.shape


def test_a_mask_beside_the_picture_is_the_garments(busy, tmp_path):
    """White of another size than the picture, of which the box shows a half."""
    mask = np.zeros((4 * SIZE[0], 2 * SIZE[1]), np.uint8)
    mask[160:224, 24:48] = 255  # the left half of the lower garment
    photo_files.write_image(tmp_path / "mask.png", mask)
    given = {"garment_mask": str(tmp_path / "mask.png"), "garment_box": "0,0.5,1,1"}
    garment = TryOnJob(**busy[1], **given).pictures().garments[0]
    expected = np.zeros(SIZE, bool)
    expected[16:48, 12:24] = True
    np.testing.assert_array_equal(garment.mask, expected)
    with pytest.raises(UserError, match=r"marks nothing of rack.png"):
        TryOnJob(**busy[1], **given | {"garment_box": "0,0,1,0.5"}).pictures()
    for masks, why in ((("", "a.png"), "more masks than there are"), ("missing.png", "missing.png")):
        with pytest.raises(UserError, match=why):
            TryOnJob(**busy[1], garment_mask=masks).pictures()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"person_box": "0,0,1"}, "person_box=0,0,1 is not understood: a box is left,top,right,bottom"),
        ({"garment_box": "0,0,100,100"}, "from 0 to 1"),
        ({"garment_box": "0.6,0,0.4,1"}, "left comes before right"),
        ({"person_box": "0,0,nan,1"}, "from 0 to 1"),
        ({"garment_box": ("", "0,0,1,1")}, "more boxes than there are pictures of garments"),
        ({"person_box": "0,0,0.1,0.1"}, "leaves 10x6 pixels"),
    ],
)
def test_boxes_that_cannot_be(busy, given, why):
    with pytest.raises(WrongOption, match=why.replace("(", r"\(")):
        TryOnJob(**busy[1], **given).pictures()


def test_a_box_is_whole_pixels():
    assert boxes.Box(0.1, 0.25, 0.9, 1).pixels((8, 10)) == (slice(2, 8), slice(1, 9))
    assert boxes.parse("  ") is None
