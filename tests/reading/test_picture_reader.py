"""PictureReader: what it finds in a picture, and that places and labels lie where they are in the picture as given."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from drawn_params import drawn_params

from vton_jax.core import keypoints, segmentation
from vton_jax.core.segmentation import ID
from vton_jax.models import reader_cnn, weights
from vton_jax.reading import picture_reader
from vton_jax.reading.person_crop import windows
from vton_jax.reading.picture_reader import PictureReader, box_of

SIZE = (64, 64)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A small network's weights, by chance."""
    network = reader_cnn.ReaderCNN((8, 8, 8, 8, 8), 16)
    params = drawn_params(network, jnp.zeros((1, *SIZE, 3)))
    path = tmp_path_factory.mktemp("weights") / "reader_cnn.safetensors"
    settings = {"model": "reader_cnn", "widths": [8, 8, 8, 8, 8], "hidden": 16, "size": list(SIZE)}
    weights.save(path, params, settings)
    return path


def bright(frames: np.ndarray) -> reader_cnn.Read:
    """What a network would say that takes all that is bright for trousers, whose middle is every joint."""
    there = frames.min(-1) > 128
    labels = np.zeros((*there.shape, 18), np.float32)
    labels[..., 0], labels[..., segmentation.ID["pants"]] = ~there, there
    points = np.stack([[np.argwhere(one).mean(0)[::-1] if one.any() else [0, 0]] * 18 for one in there])
    ones = np.ones((len(frames), 18), np.float32)
    say = lambda *values: np.tile(np.float32(values), (len(frames), 1))  # noqa: E731
    peak = ones * there.mean((1, 2))[:, None]
    return reader_cnn.Read(
        labels, points, ones, peak, ones, say(0.1, 0.1, 0.8), say(0, 1, 0), say(1, 0, 0, 0), say(0, 1)
    )


@pytest.fixture
def reader(path, monkeypatch):
    reader, looked = PictureReader(path), []

    def frames(self, frames, *, mirrored=False):
        looked.append((frames.shape[1:3], mirrored))
        return bright(frames)

    monkeypatch.setattr(PictureReader, "frames", frames)
    monkeypatch.setattr(
        PictureReader, "mirrored_labels", lambda self, frame: frames(self, frame[None], mirrored=True).labels[0]
    )
    reader.looked = looked  # type: ignore[attr-defined]
    return reader


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("size", [(300, 200), (120, 500)])
def test_what_is_found_lies_where_it_is(reader, size, thorough):
    picture = np.zeros((*size, 3), np.uint8)
    picture[40:90, 60:120] = 255
    picture[2:5, 2:5] = 255  # a speck, which is not what is read
    seen = reader.read(picture, thorough=thorough)
    assert seen.labels.shape == (*size, 18) and seen.is_a == "garment" and seen.type == "lower"
    np.testing.assert_allclose(seen.keypoints, np.tile([89.5, 64.5], (18, 1)), atol=1.5)
    there = seen.segmentation == segmentation.ID["pants"]
    truth = np.zeros(size, bool)
    truth[40:90, 60:120] = True
    assert (there & truth).sum() > 0.9 * (there | truth).sum()
    # A wide picture in parts, too, and the best of them closer; where it is read at other sizes, once each.
    parts = windows(size, SIZE)
    looks = len(parts) + min(len(parts), 2) + 2 * thorough
    assert [mirrored for _, mirrored in reader.looked] == [thorough] * looks


def test_where_nothing_is_found_the_first_look_stands(reader):
    seen = reader.read(np.zeros((90, 70, 3), np.uint8))
    assert not seen.segmentation.any() and len(reader.looked) == 1


def test_frames_are_read_as_they_are(path):
    reader = PictureReader(path)
    assert reader.size == SIZE and reader.name.startswith("PictureReader-")
    frames = np.random.default_rng(0).integers(0, 256, (5, *SIZE, 3)).astype(np.uint8)
    read = reader.frames(frames)
    assert read.labels.shape == (5, *SIZE, 18) and read.keypoints.shape == (5, 18, 2)
    both = reader.frames(frames, mirrored=True)
    turned = reader.frames(frames[:, :, ::-1], mirrored=True)
    np.testing.assert_allclose(both.facing, turned.facing * [-1, 1], atol=1e-5)
    np.testing.assert_allclose(reader.mirrored_labels(frames[1]), both.labels[1], atol=1e-6)
    assert all(np.isfinite(getattr(read, field.name)).all() for field in dataclasses.fields(read))


def test_the_box_is_of_the_largest_thing():
    there = np.zeros((200, 100), bool)
    there[50:150, 20:60], there[10:20, 80:90] = True, True
    np.testing.assert_array_equal(box_of(there), [20, 50, 60, 150])
    assert box_of(np.zeros((20, 20), bool)) is None
    speck = np.zeros((200, 100), bool)
    speck[3, 3] = True
    assert box_of(speck) is None


def test_labels_beyond_a_crop_are_background():
    """The crop covers the picture's middle; there labels are the crop's, elsewhere there is nothing."""
    from vton_jax.reading.person_crop import crop_to

    picture = np.zeros((80, 60, 3), np.uint8)
    _, place = crop_to(picture, np.array([15.0, 20.0, 45.0, 60.0]), (64, 48))
    labels = np.zeros((64, 48, 18), np.float32)
    labels[..., 4] = 1
    found = picture_reader._restored(labels, place, (80, 60))
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)
    assert (found[22:58, 17:43, 4] > 0.99).all() and (found[:18, :, 0] > 0.99).all() and (found[:, 48:, 0] > 0.99).all()


def scene(*boxes):
    there = np.zeros((200, 150), bool)
    for top, bottom, left, right in boxes:
        there[top:bottom, left:right] = True
    return there


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
def test_a_temperature_changes_how_sure_not_what(temperature):
    logits = np.random.default_rng(0).normal(0, 4, (50, 4))
    softmax = lambda a: np.exp(a) / np.exp(a).sum(-1, keepdims=True)  # noqa: E731
    found = picture_reader.tempered(softmax(logits), temperature)
    np.testing.assert_allclose(found.sum(-1), 1)
    np.testing.assert_allclose(found, softmax(logits / temperature), atol=1e-9)
    np.testing.assert_array_equal(found.argsort(-1), logits.argsort(-1))
    assert np.isfinite(picture_reader.tempered(np.float32([1, 0, 0]), temperature)).all()


def test_what_lies_close_belongs_to_the_largest_piece():
    person, shoe, far = (20, 150, 20, 60), (151, 160, 30, 50), (30, 90, 100, 130)
    there = scene(person, shoe, far)
    first, second = picture_reader.pieces_of(there)
    np.testing.assert_array_equal(first, scene(person, shoe))
    np.testing.assert_array_equal(second, scene(far))
    np.testing.assert_array_equal(picture_reader.box_of(there), [20, 20, 60, 160])


def test_specks_are_nothing():
    assert picture_reader.box_of(scene((0, 5, 0, 5))) is None
    assert picture_reader.pieces_of(scene()) == []


def test_a_second_person_is_counted_and_a_bag_is_not():
    def look(*boxes, shoulders=0.1, kind=1):
        labels = np.zeros((200, 150, 18), np.float32)
        labels[..., 0] = 1 - scene(*boxes)
        labels[..., 4] = scene(*boxes)
        nothing = np.zeros(18)
        return picture_reader.Seen(
            np.eye(3)[kind], labels, np.zeros((18, 2)), nothing, nothing + shoulders, nothing, *[np.zeros(4)] * 3
        )

    own, second, bag = (20, 150, 20, 60), (30, 120, 100, 130), (100, 120, 100, 115)
    count = lambda *looks: picture_reader._others(list(looks), scene(own))  # noqa: E731
    assert count(look(own, second)) == count(look(own), look(second)) == 1
    assert count(look(own, bag)) == count(look(own)) == 0
    assert count(look(own), look(second, shoulders=0.04)) == count(look(own), look(second, kind=2)) == 0


def test_a_hand_that_was_read_as_a_face_is_its_arms():
    labels, points, visible = np.zeros((64, 48), np.uint8), np.zeros((18, 2), np.float32), np.zeros(18, bool)
    for name, place in (("nose", (24, 8)), ("left-wrist", (30, 40)), ("right-wrist", (12, 40))):
        points[keypoints.ID[name]], visible[keypoints.ID[name]] = place, True
    labels[4:14, 20:28] = labels[38:44, 28:34] = labels[30:33, 14:16] = ID["face"]
    found = picture_reader._faces_of_heads(labels, points, visible)
    assert (found[4:14, 20:28] == ID["face"]).all()
    assert (found[38:44, 28:34] == ID["left-arm"]).all() and (found[30:33, 14:16] == ID["right-arm"]).all()
    np.testing.assert_array_equal(found > 0, labels > 0)
    np.testing.assert_array_equal(picture_reader._faces_of_heads(labels, points, np.zeros(18, bool)), labels)
