"""The formats of files that datasets come in."""

import sys
from pathlib import Path

import field_folders
import numpy as np
import pytest
from PIL import Image

from vton_jax.core import label_tables
from vton_jax.core.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
tfds = pytest.importorskip("tensorflow_datasets")

from data import field, formats


def test_label_maps_grey_indexed_and_coloured_read_the_same(tmp_path):
    ids = field_folders.ids("x", 20)
    grey = field_folders.write(tmp_path / "grey.png", ids)
    indexed = Image.fromarray(ids, "P")
    indexed.putpalette(label_tables.LIP_PALETTE.ravel().tolist())
    indexed.save(tmp_path / "indexed.png")
    coloured = field_folders.write(tmp_path / "coloured.png", label_tables.LIP_PALETTE[ids])
    for path in (grey, tmp_path / "indexed.png", coloured):
        np.testing.assert_array_equal(formats.read_ids(path), ids)
    with pytest.raises(UserError, match="not LIP's"):
        formats.read_ids(field_folders.write(tmp_path / "noise.png", field_folders.picture("x")))
    with pytest.raises(UserError, match="is a JPEG"):
        formats.read_ids(field_folders.write(tmp_path / "labels.jpg", ids))
    with pytest.raises(UserError, match="table ends at 17"):
        formats.read_labels(grey, np.arange(18, dtype=np.uint8), field_folders.SIZE)
    with pytest.raises(UserError, match="its photo 10x20"):
        formats.read_labels(grey, label_tables.LABEL_FROM_LIP, (20, 10))


def test_openpose_files(tmp_path):
    path = field_folders.write_text(tmp_path / "nobody.json", '{"people": []}')
    assert not formats.read_openpose(path)[1].any()
    for text in ("{", '{"people": [{"pose_keypoints": [1, 2, 3]}]}', '{"people": [{}]}', "[]"):
        with pytest.raises(UserError, match="holds no OpenPose keypoints"):
            formats.read_openpose(field_folders.write_text(tmp_path / "bad.json", text))


def test_a_mask_on_white_keeps_a_white_print_inside():
    image = np.full((40, 30, 3), 255, np.uint8)
    image[10:30, 8:22] = 120
    image[15:20, 12:16] = 255
    expected = np.zeros((40, 30), bool)
    expected[10:30, 8:22] = True
    np.testing.assert_array_equal(formats.mask_on_white(image), expected)
    assert not formats.mask_on_white(np.full((20, 20, 3), 255, np.uint8)).any()


def test_a_garments_own_alpha_is_its_mask(tmp_path):
    class Shop(field.Source):
        FILES = (field.Files("garment photo", "garment", ("{name}.png",)),)

        def pairs(self):
            return {}

    mask = field_folders.mask() > 0
    pixels = np.dstack([np.full((*mask.shape, 3), 255, np.uint8), np.uint8(255 * mask)])
    Image.fromarray(pixels).save(tmp_path / "white.png")
    picture, found = Shop(tmp_path).garment("train", field.Pair("", "white"))
    np.testing.assert_array_equal(found, mask)
    assert picture.size == mask.shape


def test_pair_lists_of_other_systems(tmp_path):
    """A byte-order mark is no part of a name, and a name with a space is not two."""
    path = tmp_path / "train_pairs.txt"
    path.write_bytes(b"\xef\xbb\xbf000003_0.jpg 000003_1.jpg\r\nmy photo.jpg\tmy shirt.jpg\r\n")
    assert formats.read_pairs(path) == [("000003_0", "000003_1"), ("my photo", "my shirt")]
    path.write_text("my photo.jpg shirt.jpg\n")
    with pytest.raises(UserError, match="line 1"):
        formats.read_pairs(path)
