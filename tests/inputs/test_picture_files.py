"""Files of pictures: what is written comes back, and what cannot be read is said in a sentence."""

import drawn_pictures
import numpy as np
import pytest

from vton_jax.core import segmentation
from vton_jax.core.errors import UserError
from vton_jax.inputs import labelled_photos, pictures

CANVAS = (80, 64)


@pytest.fixture
def found():
    half_known = drawn_pictures.person()["segmentation"].copy()
    half_known[:10] = segmentation.UNKNOWN
    small = np.full((20, 30, 3), 200, np.uint8)
    return [
        drawn_pictures.person(segmentation=half_known),
        drawn_pictures.garment(),
        pictures.NOTHING_KNOWN
        | {"image": small, "segmentation": np.full((20, 30), segmentation.UNKNOWN, np.uint8), "kind": 0},
    ]


def test_what_is_written_comes_back(found, tmp_path):
    pictures.write(tmp_path / "some.npz", pictures.packed(found, CANVAS))
    back = pictures.read(tmp_path / "some.npz")
    assert back["image"].shape == (3, *CANVAS, 3) and back["segmentation"].shape == (3, *CANVAS)
    for row, picture in enumerate(found):
        height, width = picture["segmentation"].shape
        assert tuple(back["shown"][row]) == (height, width)
        np.testing.assert_array_equal(back["segmentation"][row, :height, :width], picture["segmentation"])
        assert (back["segmentation"][row, height:] == segmentation.UNKNOWN).all()
        assert (back["segmentation"][row, :, width:] == segmentation.UNKNOWN).all()
        difference = np.abs(back["image"][row, :height, :width].astype(int) - picture["image"])
        assert difference.mean() < 8 and not back["image"][row, height:].any()  # WebP
        for name, (kind, _) in pictures.FACTS.items():
            np.testing.assert_array_equal(back[name][row], picture[name])
            assert back[name].dtype == kind
    red, blue = (tuple(drawn_pictures.MARKS[name]) for name in ("nose", "left-wrist"))
    assert back["image"][0, red[1], red[0]].argmax() == 0 and back["image"][0, blue[1], blue[0]].argmax() == 2


def test_its_people_with_labels_are_labelled_photos(found, tmp_path):
    pictures.write(tmp_path / "some.npz", pictures.packed(found, CANVAS))
    (photo,), (labels,) = labelled_photos.read(str(tmp_path / "some.npz"), "train")
    wanted = found[0]["segmentation"]
    assert photo.shape == (*wanted.shape, 3)
    np.testing.assert_array_equal(labels, np.where(wanted == segmentation.UNKNOWN, 0, wanted))
    pictures.write(tmp_path / "others.npz", pictures.packed(found[1:], CANVAS))
    with pytest.raises(UserError, match="shows no people with labels"):
        labelled_photos.read(str(tmp_path / "others.npz"), "train")


def test_labels_that_nobody_knows_take_no_room(found):
    arrays = pictures.packed(found, CANVAS)
    assert arrays["labels_end"][2] == arrays["labels_end"][1] > arrays["labels_end"][0]


def broken(path, found):
    arrays = pictures.packed(found, CANVAS)
    arrays["pictures"] = arrays["pictures"] * 0
    pictures.write(path, arrays)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path, _: None, "cannot be read"),
        (lambda path, _: path.write_bytes(b"something else"), "cannot be read"),
        (lambda path, _: path.write_bytes(b""), "cannot be read"),
        (lambda path, _: np.savez(path, image=np.zeros(3)), "no file of pictures, since it lacks canvas"),
        (lambda path, _: pictures.write(path, pictures.packed([], CANVAS)), "holds no pictures"),
        (broken, "is damaged"),
    ],
    ids=["missing", "foreign", "empty", "other arrays", "no pictures", "damaged"],
)
def test_what_cannot_be_read_is_a_sentence(make, said, found, tmp_path):
    path = tmp_path / "some.npz"
    make(path, found)
    with pytest.raises(UserError, match=said) as error:
        pictures.read(path)
    assert str(path) in str(error.value) and str(error.value).endswith(".")


def test_a_file_that_is_cut_off_is_a_sentence(found, tmp_path):
    path = tmp_path / "some.npz"
    pictures.write(path, pictures.packed(found, CANVAS))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="cannot be read"):
        pictures.read(path)


def test_a_place_that_cannot_be_written_to_is_a_sentence(found, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError):
        pictures.write(tmp_path / "file" / "some.npz", pictures.packed(found, CANVAS))
