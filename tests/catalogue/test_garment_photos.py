"""Garments in flat photos: their outlines, cuts and splines are found on drawn ones, and nothing else is taken."""

import cv2
import numpy as np
import pytest

from data import garments as command
from vton_jax.catalogue import flat_layout, garment_cutouts, garment_outlines, garment_photos, photo_cloth
from vton_jax.catalogue.garments import Cut
from vton_jax.catalogue.splines import ThinPlate
from vton_jax.core.errors import UserError

# A T-shirt's corners in the order of `CORNERS`, and trousers', in pixels of 192x256.
SHIRT = np.array([(46, 92), (32, 106), (10, 80), (46, 46), (76, 38), (116, 38), (146, 46), (182, 80), (160, 106),
                  (146, 92), (148, 210), (44, 210)], float)  # fmt: skip
TROUSERS = np.array([(58, 20), (134, 20), (166, 236), (130, 236), (96, 92), (62, 236), (26, 236)], float)


def drawn(polygon: np.ndarray, size: tuple[int, int] = (256, 192), colour=(200, 40, 50)) -> np.ndarray:
    """A photo of a plain garment on a floor of boards."""
    generator = np.random.default_rng(0)
    if len(polygon) == len(SHIRT):
        polygon = np.insert(polygon, 5, polygon[4:6].mean(0) + [0, 8], axis=0)  # the neck is hollow
    board = np.arange(size[1]) // 24 % 2
    floor = np.float32([150, 120, 90]) * (1 + 0.08 * board[None, :, None])
    picture = np.broadcast_to(floor, (*size, 3)) + generator.normal(0, 4, (*size, 3))
    mask = photo_cloth.coverage(polygon, size)[..., None]
    cloth = np.float32(colour) + generator.normal(0, 5, (*size, 3))
    return np.clip(mask * cloth + (1 - mask) * picture, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def shirt():
    return garment_photos.fit(drawn(SHIRT), "t-shirt")


def test_masks_and_corners_of_drawn_garments(shirt):
    truth = photo_cloth.coverage(SHIRT, (256, 192)) > 0.5
    assert (truth == (shirt.mask > 0)).mean() > 0.995
    apart = np.linalg.norm(shirt.outline.corners - SHIRT, axis=1)
    assert np.median(apart) < 3 and apart.max() < 7, dict(zip(garment_outlines.CORNERS["sleeved"], apart, strict=True))
    legs = garment_photos.fit(drawn(TROUSERS, colour=(30, 40, 90)), "pants")
    apart = np.linalg.norm(legs.outline.corners - TROUSERS, axis=1)
    assert np.delete(apart, 4).max() < 5 and apart[4] < 12  # where legs part they touch at first
    assert shirt.score > 0.6 and legs.score > 0.6
    assert legs.cuts[1].leg > 1.6


def test_cuts_are_read_off_the_photo(shirt):
    top, lower = shirt.cuts
    assert lower is None and 0.4 < top.sleeve < 1.0
    longer = SHIRT.copy()
    longer[[1, 2]] = (-4, 150), (-28, 122)  # the cuffs go down and out
    longer[[7, 8]] = (220, 122), (196, 150)
    longer = longer * 0.75 + [24, 30]
    assert garment_photos.fit(drawn(longer), "longsleeve").cuts[0].sleeve > top.sleeve + 0.4
    cropped = SHIRT.copy()
    cropped[10:, 1] -= 50
    assert garment_photos.fit(drawn(cropped), "t-shirt").cuts[0].hem > top.hem + 0.1
    short = TROUSERS.copy()
    short[[2, 3, 5, 6], 1] = 118
    short[[2, 3, 5, 6], 0] = 150, 108, 84, 42
    assert garment_photos.fit(drawn(short + [0, 40]), "shorts").cuts[1].leg < 1.0


def test_the_spline_leads_the_cut_onto_the_garment(shirt):
    spline = ThinPlate.fit(shirt.points, shirt.pixels)
    assert np.abs(spline(shirt.points) - shirt.pixels).max() < 3
    # The stored ends are those of the cut as it is laid out today.
    cut = garment_photos.cut_outline(shirt.outline.shape, shirt.cuts, shirt.arms)
    np.testing.assert_allclose(cut.control_points(garment_photos._STEP) * [1, -1], shirt.points, atol=1e-6)
    left, right = spline(np.array([[1.0, 2.0], [-1.0, 2.0]]))
    assert left[0] > right[0] + 20 and abs(left[1] - right[1]) < 3  # the wearer's left is at the right of the photo


def test_splines_are_exact_for_affine_maps():
    generator = np.random.default_rng(1)
    points, matrix = generator.normal(size=(20, 2)), np.array([[2.0, 0.3], [-0.2, 1.5]])
    spline, other = ThinPlate.fit(points, points @ matrix + 3), generator.normal(size=(3, 5, 2))
    np.testing.assert_allclose(spline(other), other @ matrix + 3, atol=1e-9)


def test_what_is_no_garment_is_refused():
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    wobble = 70 + 22 * np.sin(3 * angle) + 8 * np.sin(7 * angle + 1)
    blob = np.stack([96 + 0.9 * wobble * np.cos(angle), 128 + wobble * np.sin(angle)], 1)
    for photo_type in ("t-shirt", "pants"):
        try:
            score = garment_photos.fit(drawn(blob), photo_type).score
        except ValueError:
            continue
        assert score < garment_photos.THRESHOLDS.least, photo_type


@pytest.mark.parametrize("kind", ["top", "trousers", "skirt"])
def test_layouts_spread_cloth_evenly_and_never_fold_much(kind):
    cuts = (Cut("top"), None) if kind == "top" else (None, Cut(kind))
    (piece,) = flat_layout.pieces(cuts)
    laid = flat_layout.layout(kind)
    front = flat_layout.front_triangles(piece, laid) & (piece.keep[piece.triangles] > 0).all(1)
    corners, places = laid.front[piece.triangles[front]], flat_layout.sheet_of(kind).neutral[piece.triangles[front]]
    cross = lambda a, b: a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]  # noqa: E731
    area = cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    turned = np.sign(np.median(area)) * area
    assert (turned < 0).mean() < 0.035
    solid = np.linalg.norm(np.cross(places[:, 1] - places[:, 0], places[:, 2] - places[:, 0]), axis=1)
    ratio = turned / solid
    low, high = np.percentile(ratio, [10, 95])
    assert low > 0.3 * high  # no streaks where the body turns away
    # Turned sleeves stay on their sides.
    if kind == "top":
        up = flat_layout.layout(kind, (0.5, -0.5)).front
        arm = flat_layout.sheet_of(kind).arm > 0.9
        left = flat_layout.sheet_of(kind).left
        assert (up[arm & left, 1].mean() > laid.front[arm & left, 1].mean() + 0.5).all()
        assert (up[arm & ~left, 1].mean() < laid.front[arm & ~left, 1].mean() - 0.5).all()


def test_the_command_makes_folders_obeys_its_list_and_says_what_is_wrong(tmp_path, capsys):
    source, place = tmp_path / "photos", tmp_path / "made"
    for split, photo_type, polygon, names in (
        ("train", "t-shirt", SHIRT, "ab"), ("train", "pants", TROUSERS, "c"), ("validation", "t-shirt", SHIRT, "d"),
    ):  # fmt: skip
        (source / split / photo_type).mkdir(parents=True)
        for name in names:
            picture = drawn(polygon, colour=(40, 50, 60 + 30 * (ord(name) - ord("a"))))
            cv2.imwrite(str(source / split / photo_type / f"{name}.jpg"), picture[..., ::-1])
    cv2.imwrite(str(source / "train" / "t-shirt" / "e.jpg"), np.full((256, 192, 3), 128, np.uint8))
    said = command.build(str(source), str(place), command.Settings())
    assert "4 garments" in said and "3 of 4 t-shirt" in said
    folder = place / "garments"
    assert sorted(photo_cloth.names(folder=folder)) == ["pants_c", "t-shirt_a", "t-shirt_b", "t-shirt_d"]
    assert not set(photo_cloth.names("train", folder)) & set(photo_cloth.names("validation", folder))
    cloth = photo_cloth.read("t-shirt_a", folder)
    assert cloth.photo_type == "t-shirt" and cloth.source == "a.jpg" and max(cloth.picture.shape[:2]) <= 256
    assert (place / "sheet_0.jpg").exists() and "t-shirt_a" in (place / "names.txt").read_text()

    (place / command.LEAVE_OUT).write_text("t-shirt_b  # dull\nc.jpg\n")
    photo_cloth._index.cache_clear()
    before = {path: path.stat().st_mtime_ns for path in (place / "work").rglob("*.npz")}
    command.build(str(source), str(place), command.Settings())
    assert sorted(photo_cloth.names(folder=folder)) == ["t-shirt_a", "t-shirt_d"]
    assert before == {path: path.stat().st_mtime_ns for path in (place / "work").rglob("*.npz")}  # fitted once
    for wrong, said in ((tmp_path / "nothing", "no folder"), (tmp_path, "no photos")):
        with pytest.raises(UserError, match=said):
            command.build(str(wrong), str(place), command.Settings())
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        command.build(str(source), str(tmp_path / "file" / "made"), command.Settings())
    (place / command.LEAVE_OUT).write_text("unknown\n")
    with pytest.raises(UserError, match="unknown"):
        command.build(str(source), str(place), command.Settings())
    (place / command.LEAVE_OUT).unlink()
    (source / "train" / "pants" / "f.jpg").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"f\.jpg"):
        command.build(str(source), str(place), command.Settings())
    assert len(photo_cloth.names(folder=folder)) == 2  # what was there stays


def test_cut_outs_keep_colours_and_lose_the_light(shirt):
    about = {"name": "x", "photo_type": "t-shirt", "split": "train", "source": "x.jpg"}
    plain = garment_cutouts.cut_out(drawn(SHIRT), shirt, about)
    inside = plain.alpha > 0.99
    assert np.abs(np.median(plain.picture[inside], axis=0) - [200, 40, 50]).max() < 6
    assert np.abs(plain.picture[plain.alpha == 0].mean(0) - [200, 40, 50]).max() < 20  # no floor beside it
    tilted = np.clip(drawn(SHIRT) * np.linspace(0.4, 1.1, 256)[:, None, None], 0, 255).astype(np.uint8)
    lit = garment_cutouts.cut_out(tilted, shirt, about).picture.mean(-1)
    rows = np.array([lit[row][inside[row]].mean() for row in (60, 170)])
    assert rows[1] / rows[0] < 1.4 < tilted[210, 60:130].mean() / tilted[95, 60:130].mean()
