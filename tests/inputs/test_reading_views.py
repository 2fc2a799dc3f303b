"""Views of pictures: the truth goes with the pixels, and batches are a function of seed and position."""

import functools

import drawn_pictures
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn_pictures import BOX, COLOURS, MARKS

from vton_jax.core import keypoints, segmentation
from vton_jax.core.errors import UserError
from vton_jax.inputs import pictures, reading_views

SIZE = (64, 64)
COUNT = 48


def as_read(**changes) -> dict:
    """The figure as a file has it, but without what WebP does to its colours."""
    found = drawn_pictures.person(**changes)
    facts = {name: np.asarray(found[name], kind) for name, (kind, _) in pictures.FACTS.items()}
    shown = np.int32(found["segmentation"].shape)
    return jax.tree.map(
        jnp.asarray, facts | {name: found[name] for name in ("image", "segmentation")} | {"shown": shown}
    )


@pytest.fixture(scope="module")
def one():
    return as_read()


@pytest.fixture(scope="module")
def look(one):
    """Draws many views of a picture, in their own light and before their own ground."""
    keys, draw = jax.random.split(jax.random.PRNGKey(1), COUNT), functools.partial(reading_views.view, size=SIZE)
    drawn = jax.jit(jax.vmap(draw, (0, None)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading_views, "_in_other_light", lambda key, image, pale: image)
        patch.setattr(reading_views, "_before_one_colour", lambda key, image, labels, person: image)
        patch.setattr(reading_views, "RANGES", reading_views.Ranges(one_colour=0.0))
        drawn(keys, one)  # compiled as long as that is so
    return lambda picture: jax.device_get(drawn(keys, picture))


@pytest.fixture(scope="module")
def views(one, look):
    return look(one)


@pytest.fixture(scope="module")
def stand(one):
    """Brings somebody to their place exactly, six times."""
    keys, draw = jax.random.split(jax.random.PRNGKey(0), 6), functools.partial(reading_views.standing, size=SIZE)
    drawn = jax.jit(jax.vmap(draw, (0, None)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading_views, "STANDS", reading_views.Stands(scale=0.0, aside=0.0, cut=0.0, foot=0.0))
        drawn(keys, one)
    return lambda picture: jax.device_get(drawn(keys, picture))


def middle(there: np.ndarray) -> np.ndarray:
    """(x, y) in the middle of a mask."""
    row, column = np.nonzero(there)
    return np.array([column.mean(), row.mean()])


def columns(there: np.ndarray) -> np.ndarray:
    """Of masks [N, H, W], the mean column of each [N]; NaN where it is empty."""
    count = there.sum((1, 2))
    return np.where(count, (there * np.arange(there.shape[2])).sum((1, 2)) / np.maximum(count, 1), np.nan)


def test_joints_stay_on_the_pixels_that_they_mark(views):
    """What was on the person's right is called so on either side of the picture."""
    looked_at = 0
    for i, image in enumerate(views["image"].astype(int)):
        exchanged = views["facing"][i, 0] < 0
        for name, colour in COLOURS.items():
            if exchanged:  # the mirrored picture shows the mark of the right wrist on the left wrist
                name = name.replace("right", "#").replace("left", "right").replace("#", "left")
            joint, near = views["keypoints"][i, keypoints.ID[name]], np.abs(image - colour).max(-1) < 90
            inside = ((joint >= 4) & (joint < np.array(SIZE[::-1]) - 5)).all()
            if views["known"][i, keypoints.ID[name]] and inside and near.sum() >= 4:
                assert np.abs(middle(near) - joint).max() < 1.6, name
                looked_at += 1
    assert looked_at > 2 * COUNT


def test_labels_follow_the_pixels(views):
    for image, labels in zip(views["image"], views["segmentation"], strict=True):
        shown = image.max(-1) > 40
        assert ((labels > 0) == shown).mean() > 0.95
    assert len({labels.tobytes() for labels in views["segmentation"]}) > 0.9 * COUNT


def test_mirrored_views_exchange_left_and_right_and_turn_the_facing(views, one):
    mirrored = views["facing"][:, 0] < 0
    assert 0.25 < mirrored.mean() < 0.75
    np.testing.assert_allclose(np.abs(views["facing"]), np.tile([[0.6, 0.8]], (COUNT, 1)), atol=1e-6)
    right, left = (columns(views["segmentation"] == segmentation.ID[leg]) for leg in ("right-leg", "left-leg"))
    both = np.isfinite(right) & np.isfinite(left)
    assert both.sum() > COUNT / 4  # the person's right is on the picture's left, mirrored too
    assert (right[both] < left[both]).all()
    seen = views["seen"]
    np.testing.assert_array_equal(seen[~mirrored], np.tile(one["seen"], (int((~mirrored).sum()), 1)))
    np.testing.assert_array_equal(seen[mirrored], np.tile(one["seen"][keypoints.MIRROR], (int(mirrored.sum()), 1)))


def test_parts_tell_neither_type_nor_sleeves(views, look):
    """In a view of a part, what is worn cannot be known; in any other one, the whole figure is there, or nearly."""
    told = views["sleeves"] >= 0
    assert 0.5 < told.mean() < 0.9
    np.testing.assert_array_equal(views["sleeves"][told], 3)
    ends = views["keypoints"][:, [keypoints.ID[name] for name in ("nose", "right-ankle", "left-ankle")], 1]
    known = views["known"][:, [keypoints.ID[name] for name in ("nose", "right-ankle", "left-ankle")]]
    within = ((ends > -4) & (ends < SIZE[0] + 4) | ~known).all(1)
    assert within[told].all() and not within[~told].all()
    garments = look(as_read(kind=2, garment_type=2))
    np.testing.assert_array_equal(garments["garment_type"] >= 0, garments["sleeves"] >= 0)


def test_as_it_is_shows_the_whole_picture(one):
    draw = jax.jit(lambda picture, size: reading_views.as_it_is(None, picture, size=size), static_argnums=1)
    found = jax.device_get(draw(one, (32, 64)))
    assert found["segmentation"].shape == (32, 64)
    for name, (x, y) in MARKS.items():  # half as large, in the middle
        np.testing.assert_allclose(
            found["keypoints"][keypoints.ID[name]], [(x - 23.5) / 2 + 31.5, (y - 31.5) / 2 + 15.5]
        )
    rows, across = np.nonzero(found["segmentation"])
    assert abs(len(rows) - (BOX[2] - BOX[0]) * (BOX[3] - BOX[1]) / 4) < 30
    assert rows.min() == 4 and rows.max() == 27 and across.min() == 25 and across.max() == 38
    again = jax.device_get(draw(one, drawn_pictures.SIZE))
    np.testing.assert_array_equal(again["image"], one["image"])
    np.testing.assert_array_equal(again["segmentation"], one["segmentation"])


def test_standing_brings_head_and_feet_to_their_rows(one, stand):
    found, stands = stand(one), reading_views.STANDS
    for labels in found["segmentation"]:
        rows, across = np.nonzero(labels)
        assert abs(rows.min() - stands.top * SIZE[0]) <= 1 and abs(rows.max() + 1 - stands.bottom * SIZE[0]) <= 1
        assert abs((across.min() + across.max()) / 2 - 31.5) <= 1
    np.testing.assert_array_equal(found["visible"].sum(1), len(MARKS))
    assert found["keypoints"].shape == (6, 18, 2) and not found["keypoints"][~found["visible"]].any()


def test_standing_people_who_leave_the_photo_have_no_labels_below_it(stand):
    """The photo ends above the ankles."""
    figure = drawn_pictures.person()
    labels, points = figure["segmentation"].copy(), figure["keypoints"].copy()
    labels[48:], points[keypoints.ID["right-ankle"]] = segmentation.UNKNOWN, (18, 58)
    found = stand(as_read(segmentation=labels, keypoints=points) | {"shown": jnp.array([48, 48])})
    assert (found["segmentation"][:, -6:] == segmentation.UNKNOWN).all((1, 2)).all()
    assert not (found["segmentation"][:, :40] == segmentation.UNKNOWN).any()


def test_empty_views_and_unknown_labels(look):
    """A view in which next to nothing of the thing is left tells no kind; a picture without labels tells its own."""
    speck = np.zeros(drawn_pictures.SIZE, np.uint8)
    speck[:1, :1] = 4
    unknown = look(as_read(segmentation=np.full(drawn_pictures.SIZE, segmentation.UNKNOWN, np.uint8)))
    assert (unknown["segmentation"] == segmentation.UNKNOWN).all() and (unknown["kind"] == 1).all()
    assert -1 in look(as_read(segmentation=speck))["kind"]
    assert (look(as_read(kind=0, segmentation=np.zeros_like(speck)))["kind"] == 0).all()


# --- batches ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    people = [drawn_pictures.person(sleeves=number) for number in range(3)]
    return (
        drawn_pictures.write(folder / "people.npz", people),
        drawn_pictures.write(folder / "garments.npz", [drawn_pictures.garment()] * 2, (80, 48)),
    )


def test_batches_hold_their_share_and_depend_on_seed_and_position(files):
    mixture = f"{files[0]}:0.7,{files[1]}:0.3"
    batches = reading_views.open_batches(mixture, 10, 3, SIZE, "validation")
    first, second = jax.device_get((next(batches), next(batches)))
    assert first["image"].shape == (10, *SIZE, 3) and first["image"].dtype == np.uint8
    assert list(first["kind"]) == [1] * 7 + [2] * 3
    assert set(first["sleeves"][:7]) <= {0, 1, 2} and (first["sleeves"] != second["sleeves"]).any()
    batches.set_state({"position": 0})
    again = jax.device_get(next(batches))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    other = jax.device_get(next(reading_views.open_batches(mixture, 10, 4, SIZE, "validation")))
    assert (other["sleeves"] != first["sleeves"]).any()
    kinds = lambda batch: {name: (a.shape, np.dtype(a.dtype)) for name, a in batch.items()}  # noqa: E731
    assert kinds(batches.shapes()) == kinds(first) == kinds(reading_views.batch_shapes(10, SIZE))


def test_people_alone_are_opened_for_multi_path(files):
    batch = reading_views.open_people(f"{files[0]}:0.5,{files[0]}:0.5", 4, 0, SIZE, "train").shapes()
    assert {name: array.shape for name, array in batch.items()} == {
        "image": (4, *SIZE, 3), "segmentation": (4, *SIZE), "keypoints": (4, 18, 2), "visible": (4, 18),
    }  # fmt: skip
    assert reading_views.are_pictures(files[0]) and not reading_views.are_pictures("somewhere/people")


def test_what_is_neither_a_file_nor_a_folder_of_people_is_a_sentence(tmp_path):
    for name in ("missing.npz", "."):
        with pytest.raises(UserError, match="neither a file of python"):
            reading_views.open_batches(str(tmp_path / name), 2, 0, SIZE, "train")
