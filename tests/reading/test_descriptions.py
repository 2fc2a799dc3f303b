"""What a picture shows, in words: sides, framing, lengths and garments, from readings made by hand; and the command."""

import json

import cv2
import numpy as np
import pytest

from vton_jax.core import keypoints, segmentation
from vton_jax.reading import read_files
from vton_jax.reading.descriptions import THRESHOLDS, TYPE_TEMPERATURE, Worn, describe, facing_of, flat_length
from vton_jax.reading.picture_reader import Seen

SIZE = (120, 80)
ROWS = {"ear": 14, "eye": 14, "shoulder": 24, "elbow": 40, "wrist": 56, "hip": 56, "knee": 82, "ankle": 106}


def probable(chosen: int, count: int, sure: float = 0.97) -> np.ndarray:
    found = np.full(count, (1 - sure) / (count - 1), np.float32)
    found[chosen] = sure
    return found


def seen(labels: np.ndarray, *, kind=1, garment_type=0, sleeves=1, turn=0.0, sure=0.97) -> Seen:
    """Somebody upright, whose joints lie in `ROWS`, with labels [H, W]."""
    points = np.zeros((18, 2), np.float32)
    for name, joint in keypoints.ID.items():
        side, _, part = name.partition("-")
        points[joint] = (40 + {"left": 12, "right": -12}.get(side, 0), ROWS[part] if part else 18)
    inside = (points[:, 1] < len(labels)).astype(np.float32)
    certain = 0.9 * np.eye(18, dtype=np.float32)[labels] + 0.1 / 18
    facing = np.float32([np.sin(np.deg2rad(turn)), np.cos(np.deg2rad(turn))])
    return Seen(probable(kind, 3, sure), certain, points, inside, inside, inside, probable(garment_type, 3),
                probable(sleeves, 4), facing)  # fmt: skip


def person(top=(24, 60), lower=(60, 106), lower_name="pants", height=SIZE[0]) -> np.ndarray:
    """Labels of somebody, rows of whose top and lower garment are given."""
    labels = np.zeros((height, SIZE[1]), np.uint8)
    labels[8:24, 32:48] = segmentation.ID["face"]
    for (first, last), name in ((top, "upper-clothes"), (lower, lower_name)):
        labels[first:last, 26:54] = segmentation.ID[name]
    return labels


def test_the_side_of_the_body_that_is_turned_to_the_camera():
    """Who is turned to the picture's right shows the right side."""
    for turn, name in (
        (0, "front"),
        (40, "front"),
        (90, "right"),
        (60, "right"),
        (-90, "left"),
        (180, "back"),
        (-140, "back"),
    ):
        angle = np.deg2rad(turn)
        assert facing_of(np.array([np.sin(angle), np.cos(angle)])) == name
    assert facing_of(np.array([0.2, 0.2])) == ""  # it says too little


def test_a_person_is_described():
    found = describe(seen(person(), turn=90, sleeves=3))
    assert (found.kind, found.type, found.facing, found.framing) == ("person", "outfit", "right", "whole")
    assert set(found.garments) == {Worn("upper", "long", "hip"), Worn("lower", "", "long")}
    assert found.sleeves == "long" and found.length == "" and 0.9 < found.confidence <= 1
    what, how = found.parts()
    assert what.startswith("person in lower (long length) and upper (long sleeves, hip length)")
    assert how == "right side seen, whole, confidence 0.97"


@pytest.mark.parametrize(
    ("height", "framing"), [(120, "whole"), (100, "knees"), (70, "hips"), (45, "chest"), (22, "head")]
)
def test_framing_is_by_the_last_joints_in_the_picture(height, framing):
    found = describe(
        seen(person(top=(min(24, height), min(60, height)), lower=(min(60, height), height), height=height))
    )
    assert found.framing == framing
    assert all(not worn.length for worn in found.garments if worn.type == "lower" and height < 120)  # it goes on


@pytest.mark.parametrize(
    ("top", "lower", "name", "lengths"),
    [
        ((24, 45), (45, 70), "pants", {"upper": "cropped", "lower": "short"}),
        ((24, 60), (60, 84), "skirt", {"upper": "hip", "lower": "knee"}),
        ((24, 76), (76, 104), "pants", {"upper": "long", "lower": "long"}),
        ((24, 24), (24, 74), "dress", {"dress": "short"}),
        ((24, 24), (24, 100), "dress", {"dress": "long"}),
    ],
)
def test_lengths_are_measured_by_the_wearers_joints(top, lower, name, lengths):
    assert {worn.type: worn.length for worn in describe(seen(person(top, lower, name))).garments} == lengths


def test_small_pieces_are_no_garments_and_sleeves_are_the_outer_ones():
    labels = person(top=(24, 26), lower=(26, 80), lower_name="dress")
    assert [worn.type for worn in describe(seen(labels)).garments] == ["dress"]
    labels = person(top=(24, 45), lower=(45, 80), lower_name="dress")
    assert [(worn.type, worn.sleeves) for worn in describe(seen(labels)).garments] == [
        ("dress", ""),
        ("upper", "short"),
    ]


def test_a_skirt_is_no_dress_and_skirt():
    labels = person(top=(24, 56), lower=(56, 100), lower_name="skirt")
    labels[70:80, 26:54] = segmentation.ID["dress"]
    assert [worn.type for worn in describe(seen(labels)).garments] == ["lower", "upper"]
    labels[56:90, 26:54] = segmentation.ID["dress"]
    assert [worn.type for worn in describe(seen(labels)).garments] == ["dress", "upper"]


def test_garments_alone():
    labels = np.zeros(SIZE, np.uint8)
    labels[24:60, 20:60] = segmentation.ID["upper-clothes"]
    one = seen(labels, kind=2)
    found = describe(one)
    assert (found.kind, found.type, found.sleeves, found.length, found.framing) == (
        "garment",
        "upper",
        "short",
        "hip",
        "whole",
    )
    assert found.garments == () and found.facing == "" and found.confidence < 0.97 * one.types.max()
    tempered = one.types ** (1 / TYPE_TEMPERATURE)
    assert found.confidence == pytest.approx(0.97 * tempered.max() / tempered.sum())
    trousers = np.zeros(SIZE, np.uint8)
    trousers[10:, 20:60] = segmentation.ID["pants"]
    found = describe(seen(trousers, kind=2, garment_type=1))
    assert (found.type, found.sleeves, found.framing) == ("lower", "", "cut")
    assert "unsure" not in found.line("a.jpg")
    assert describe(seen(labels, kind=2, sure=THRESHOLDS.sure - 0.1)).line("a.jpg").endswith("unsure")


def test_flat_lengths_go_by_the_shape():
    for height, name in ((40, "short"), (50, "knee"), (80, "long")):
        mask = np.zeros(SIZE, bool)
        mask[10 : 10 + height, 20:51] = True
        assert flat_length(mask) == name
    assert flat_length(np.zeros(SIZE, bool)) == ""


def test_a_pictures_own_mask_says_what_is_there():
    labels, mask = np.zeros(SIZE, np.uint8), np.zeros(SIZE, bool)
    labels[24:60, 20:60] = segmentation.ID["upper-clothes"]
    mask[24:110, 20:60] = True
    assert describe(seen(labels, kind=2), mask).length == "long"


# --- files -----------------------------------------------------------------------------------------------------------


class ByColour:
    """Red pictures show a person, green ones a garment, others nothing."""

    def read(self, picture, *, thorough=True):
        kind = {0: 1, 1: 2}.get(int(picture[0, 0].argmax()), 0)
        return seen(person() if kind == 1 else person((24, 60), (60, 60)) * (kind == 2), kind=kind, sleeves=0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(read_files, "PictureReader", ByColour)
    (tmp_path / "in" / "more").mkdir(parents=True)
    for name, colour in (("person.jpg", 2), ("more/garment.jpg", 1), ("wall.png", 0)):
        image = np.full((*SIZE, 3), 90, np.uint8)
        image[..., colour] = 220  # OpenCV's order is blue, green, red
        cv2.imwrite(str(tmp_path / "in" / name), image)
    (tmp_path / "in" / "._person.jpg").write_text("what a Mac leaves behind")
    return tmp_path / "in"


def test_one_line_a_picture(folder, command, capsys):
    command("vton_jax.read", folder, "--output", folder.parent / "out")
    lines = capsys.readouterr().out.strip().splitlines()
    assert [line.split(": ")[0].rsplit("/", 1)[-1] for line in lines] == ["garment.jpg", "person.jpg", "wall.png"]
    assert "garment, upper (no sleeves, hip length), whole" in lines[0]
    assert "person in lower (long length) and upper" in lines[1] and "seen from the front" in lines[1]
    assert "neither a person nor a garment" in lines[2]
    drawn = {path.name: cv2.imread(str(path)) for path in (folder.parent / "out").iterdir()}
    assert drawn.keys() == {"garment.jpg.png", "person.jpg.png", "wall.png.png"}
    assert all(image.shape[1] == SIZE[1] and image.shape[0] > SIZE[0] for image in drawn.values())
    differs = {
        name: np.abs(image[-SIZE[0] :].astype(int) - image[-1, -1]).max(-1) > 60 for name, image in drawn.items()
    }
    assert differs["person.jpg.png"].mean() > 0.05 and not differs["wall.png.png"].any()


def test_json_has_the_keys_that_programs_rely_on(folder, command, capsys):
    command("vton_jax.read", "--json", folder / "person.jpg", folder / "more" / "garment.jpg", folder / "wall.png")
    one, garment, wall = map(json.loads, capsys.readouterr().out.strip().splitlines())
    keys = {"file", "kind", "type", "garments", "sleeves", "length", "facing", "framing", "confidence"}
    assert set(one) == set(garment) == set(wall) == keys
    assert (one["kind"], one["type"], one["facing"], one["sleeves"]) == ("person", "outfit", "front", "none")
    assert {(worn["type"], worn["sleeves"]) for worn in one["garments"]} == {("upper", "none"), ("lower", None)}
    assert one["file"] == str(folder / "person.jpg")
    assert (garment["kind"], garment["type"], garment["facing"], garment["garments"]) == ("garment", "upper", None, [])
    assert (wall["kind"], wall["type"], wall["sleeves"], wall["garments"]) == ("none", None, None, [])
    assert all(0 <= found["confidence"] <= 1 for found in (one, garment, wall))


def test_what_does_not_decode_is_said_and_the_rest_is_read(folder, command, capsys):
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff not a photo")
    (folder / "empty").mkdir()
    with pytest.raises(SystemExit) as ended:
        command("vton_jax.read", folder / "broken.jpg", folder / "missing.jpg", folder / "empty", folder / "person.jpg")
    said = capsys.readouterr()
    assert ended.value.code == 2 and len(said.err.strip().splitlines()) == 3
    assert "missing.jpg does not exist" in said.err and "holds no pictures" in said.err
    assert len(said.out.strip().splitlines()) == 1 and "person in" in said.out


def test_names_of_pictures_are_needed(command, capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        command("vton_jax.read")
    assert ended.value.code == 2 and "Name at least one picture" in capsys.readouterr().err


def test_files_of_one_name_are_drawn_beside_each_other(folder):
    (folder / "more" / "person.jpg").write_bytes((folder / "person.jpg").read_bytes())
    found = list(read_files.read_files([folder, folder / "person.jpg"], folder.parent / "out"))
    assert len(found) == 5
    names = {path.name for path in (folder.parent / "out").iterdir()}
    assert {"person.jpg.png", "person.jpg-2.png", "person.jpg-3.png"} <= names


def test_the_released_reader_knows_the_packaged_pictures(command, capsys):
    from vton_jax.models import weights

    samples = weights.FOLDER.parent / "samples"
    command("vton_jax.read", "--quick", "--json", samples / "person.png", samples / "garment.png")
    person_, garment = map(json.loads, capsys.readouterr().out.strip().splitlines())
    assert (person_["kind"], person_["facing"], person_["framing"]) == ("person", "front", "whole")
    assert (garment["kind"], garment["type"]) == ("garment", "upper")
    assert garment["sleeves"] in ("three-quarter", "long")  # they end between elbow and wrist, nearer to the wrist
    assert min(person_["confidence"], garment["confidence"]) > 0.9
