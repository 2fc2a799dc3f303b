"""The suite `strangers`: pictures of one colour each, which a toy system reads by their colour."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from stand_ins import Distances

from vton_jax import systems
from vton_jax.core import segmentation
from vton_jax.core.errors import NoGarmentFound, UserError
from vton_jax.core.types import Dressed, Garment, Layout, Pose, Result, Target, User
from vton_jax.evaluate import (
    dressing,
    judging,
    perceptual,
    stranger_reading,
    strangers_cells,
    strangers_folder,
    strangers_pairs,
)
from vton_jax.evaluate.strangers_suite import StrangersSuite
from vton_jax.media import photo_files
from vton_jax.systems.options import JobOptions

SIZE = (64, 48)
PERSON, UPPER, LOWER, NOTHING = (0, 0, 200), (200, 0, 0), (200, 200, 0), (200, 200, 200)


def people(frames):
    """A bust amid every frame."""
    labels = np.zeros((len(frames), *SIZE), np.uint8)
    labels[:, 20:50, 15:35] = segmentation.ID["upper-clothes"]
    return Layout(labels, np.full((len(frames), 18, 2), 20.0, np.float32), np.ones((len(frames), 18), bool))


class Toy:
    """Sees garments in red, trousers where there is green too, and nothing in grey; returns the garment's picture."""

    size, reader = SIZE, property(lambda self: self)
    read_people = read_layouts = staticmethod(lambda frames: (people(frames), np.zeros((len(frames), 1))))

    def __init__(self, options):
        self.options = options

    def stand_of(self, picture):
        return None

    def looks_flat(self, frame):
        return frame[..., 0].mean() > 100

    def read_user(self, frame, shown=None):
        layout = people([frame])
        return User(frame / np.float32(255), Layout(*(getattr(layout, n)[0] for n in vars(layout))), np.zeros(1), shown)

    def read_garment(self, frame, garment_type=None, flat=None):
        if frame[..., 2].mean() > 100 and flat:
            raise NoGarmentFound("upper", True)
        user, kind = self.read_user(frame), "lower" if frame[..., 1].mean() > 100 else "upper"
        return Garment(user.image, user.layout, np.int32(segmentation.GARMENT_TYPES.index(kind)), np.bool_(bool(flat)))

    def read_poses(self, frames):
        return Pose(people(frames), np.zeros((len(frames), 1)))

    def dress(self, user, garments, poses):
        for labels in poses.layout.segmentation:
            rest = [np.zeros((*SIZE, *axes), np.float32) for axes in ((2,), (), (), (2,), ())]
            dressed = Dressed(garments[0].image, labels, *rest)
            yield Result(dressed, Target(labels, labels, np.ones(1), {}))


class Parser:
    """Stands in for the parser of photos."""

    def __init__(self, path):
        pass

    def parse(self, frames):
        return people(frames).segmentation, np.ones(len(frames))


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setitem(systems.SYSTEMS, "toy", Toy)
    monkeypatch.setattr(strangers_cells, "PANEL", (128, 96))
    monkeypatch.setattr(dressing, "PictureReader", Parser)
    monkeypatch.setattr(perceptual, "open_distances", lambda asked: Distances())


@pytest.fixture
def folder(tmp_path):
    """Two persons, one taken for a garment; four garments: right, taken for trousers, for a person, for nothing."""
    pictures = {"person/a.png": PERSON, "person/b.png": UPPER, "garment/a.png": UPPER, "garment/c.png": LOWER,
                "garment/d.png": PERSON, "garment/e.png": NOTHING}  # fmt: skip
    generator = np.random.default_rng(0)
    for name, colour in pictures.items():
        noise = generator.integers(0, 9, (*SIZE, 3))
        photo_files.write_image(tmp_path / "data" / name, (noise + colour).astype(np.uint8))
    (tmp_path / "data" / "person" / "._a.png").write_bytes(b"no picture")
    table = "\ufefffile, type,sleeves\na.png,upper,short\nc.png,upper,long\nd.png,dress,none\n\n"
    (tmp_path / "data" / "garments.csv").write_text(table, encoding="utf-8")
    return tmp_path / "data"


def run(data, output=None, **options):
    suite = StrangersSuite(StrangersSuite.Options(data=str(data), system="toy", **options))
    suite.folder = output
    return suite, dict(suite.run())


def read_table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# --- the folder ------------------------------------------------------------------------------------------------------


def test_true_pairs_are_found_by_name_or_listed(folder):
    names = lambda: [  # noqa: E731
        (pair.person.parent.name, pair.person.name, pair.garment.name, pair.type)
        for pair in strangers_folder.open_folder(folder).pairs
    ]
    assert names() == [("person", "a.png", "a.png", "upper")]
    for name, number in (("image/7_0.png", 0), ("image/7_1.png", 1), ("cloth/7_1.png", 2)):
        photo_files.write_image(folder / "viton" / name, np.full((*SIZE, 3), number, np.uint8))
    assert names() == [("person", "a.png", "a.png", "upper"), ("image", "7_0.png", "7_1.png", "upper")]
    (folder / "pairs.csv").write_text("person,garment,type\r\nb.png,c.png,\r\nviton/image/7_0.png,e.png,lower\r\n")
    assert names() == [("person", "b.png", "c.png", "upper"), ("image", "7_0.png", "e.png", "lower")]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("garments.csv", "file,type\nz.png,upper", r"lists z.png, which is not in garment/"),
        ("garments.csv", "file,type\na.png,hat", r"type of a.png is 'hat'; known are upper, lower, dress"),
        ("garments.csv", "file,type,sleeves\na.png,upper,wide", r"sleeves of a.png is 'wide'; known are none, short"),
        ("garments.csv", "file\na.png", r"lacks the column type; its first line should name file,type"),
        ("garments.csv", "file,type\na.png", r"has a line of 1 values below 2 columns: a.png"),
        ("pairs.csv", "person,garment\na.png,z.png", r"lists 'z.png', which is neither in garment/"),
        ("pairs.csv", "", r"lacks the column person"),
    ],
)
def test_a_malformed_table_is_refused_in_a_sentence(folder, name, text, said):
    (folder / name).write_text(text)
    with pytest.raises(UserError, match=said):
        strangers_folder.open_folder(folder)


def test_cells_are_the_same_however_many_and_by_the_seed_alone(folder):
    opened = strangers_folder.open_folder(folder)
    cells = strangers_folder.draw_cells(opened, 60, seed=3)
    assert len(cells) == len(set(cells)) == 2 * 4 - 1  # not the true pair
    assert strangers_folder.draw_cells(opened, 4, seed=3) == cells[:4]
    assert strangers_folder.draw_cells(opened, 60, seed=4) != cells
    fewer = dataclasses.replace(opened, garments=opened.garments[:-1])
    kept = [cell for cell in cells if cell[1] != opened.garments[-1]]
    assert strangers_folder.draw_cells(fewer, 60, seed=3) == kept


# --- what is measured ------------------------------------------------------------------------------------------------


def test_the_readings_are_counted_against_the_truth(toy, folder, tmp_path, capsys):
    suite, results = run(folder, tmp_path / "out", num_cells=0)
    found = {name: (results[f"strangers.{name}.right"], results[f"strangers.{name}.count"]) for name in
             ("kind", "kind_person", "kind_garment", "type")}  # fmt: skip
    assert found == {"kind": (3, 6), "kind_person": (1, 2), "kind_garment": (2, 4), "type": (1, 3)}
    assert results["strangers.type"] == pytest.approx(1 / 3)
    assert "strangers.sleeves" not in results and "strangers.cells" not in results
    assert "nothing reads sleeves" in capsys.readouterr().err
    lines = {line["file"]: line for line in read_table(tmp_path / "out" / "reading.csv")}
    assert lines["garment/c.png"]["read as type"] == "lower" and lines["garment/e.png"]["read as"] == "none"
    assert any("garment/c.png" in part for part in suite.sections(results))
    assert {"suite", "split_hash", "size"} <= suite.texts["protocol"].keys()


def test_sleeves_are_counted_where_they_are_read(toy, folder, monkeypatch):
    monkeypatch.setattr(stranger_reading, "reads_sleeves", lambda system: True)
    monkeypatch.setattr(stranger_reading, "look", lambda *_: stranger_reading.Seen("garment", "upper", "short"))
    _, results = run(folder)
    assert results["strangers.sleeves.right"] == 1 and results["strangers.sleeves.count"] == 3


def test_true_pairs_are_scored_without_what_they_wear(toy, folder):
    """The toy returns the garment's picture, and both are of noise alone: only where they differ scores are worse."""
    suite, results = run(folder, num_cells=0)
    assert results["strangers.pairs.count"] == 1 and results["strangers.pairs.refused"] == 0
    for score in ("ssim", "psnr", "ssim_garment", "lpips", "lpips_garment"):
        assert np.isfinite([results[f"strangers.pairs.{name}.{score}"] for name in ("toy", "hidden")]).all()
    assert results["strangers.pairs.toy.lpips_garment"] < results["strangers.pairs.toy.lpips"]  # the rest is alike
    assert suite.pictures["Pairs"].ndim == 3 and "lpips" in suite.sections(results)[0]
    (folder / "pairs.csv").write_text("person,garment\na.png,e.png\n")
    _, results = run(folder, num_cells=0)
    assert results["strangers.pairs.refused"] == 1 and "strangers.pairs.toy.ssim" not in results


def test_a_top_that_is_read_as_trousers_is_hidden_too(toy, monkeypatch):
    """Else the truth's own top would be scored."""
    shown = []
    compared = dressing.Compared({"toy": Toy(None)}, arms=False)
    monkeypatch.setattr(
        strangers_pairs.hidden_garments, "dress_hidden", lambda compared, user, *rest: (shown.append(user.image), {})
    )
    user = compared.first.read_user(np.full((*SIZE, 3), 200, np.uint8))
    garment = compared.first.read_garment(np.full((*SIZE, 3), LOWER, np.uint8), None, True)
    labels = people([0]).segmentation[0]
    for kind in ("upper", "lower", ""):
        strangers_pairs._dressed(compared, user, garment, labels, true_type=kind, background="network")
    assert [bool((image[25:45, 20:30] == 0.5).all()) for image in shown] == [True, False, False]


# --- cells -----------------------------------------------------------------------------------------------------------


def test_cells_are_pictures_with_an_empty_table_and_a_key_apart(toy, folder, tmp_path):
    _, results = run(folder, tmp_path / "out", num_cells=60, seed=1)
    refused = [cell for cell in judging.read_key(tmp_path / "out") if cell.outcome == judging.REFUSED]
    assert results["strangers.cells"] == 7 and results["strangers.refused"] == 2 == len(refused)
    assert all(cell.garment == "e.png" and "No garment" in cell.why for cell in refused)
    cells = tmp_path / "out" / "cells"
    table = read_table(cells / "judge.csv")
    assert list(table[0]) == ["cell", "garment", "place", "sleeves_and_hem", "face_and_hands", "nothing_torn"]
    assert [line.pop("cell") for line in table] == [f"cell_{number:03d}" for number in range(7)]
    assert not any(value for line in table for value in line.values())
    assert sorted(path.name for path in cells.iterdir()) == [*(f"cell_{n:03d}.png" for n in range(7)), "judge.csv"]
    assert not (cells / "cells.csv").exists()
    panel = photo_files.read_photo(cells / f"{refused[0].cell}.png")[:, -strangers_cells.PANEL[1] :]
    np.testing.assert_array_equal(panel, strangers_cells.refused())
    assert (strangers_cells.refused() < 100).any()


def test_cells_are_kept_where_nothing_changed(toy, folder, tmp_path, monkeypatch):
    made = []
    make = strangers_cells.make_cell
    monkeypatch.setattr(strangers_cells, "make_cell", lambda *a: (made.append(a[2:]), make(*a))[1])
    run(folder, tmp_path, num_cells=3)
    pictures = [(tmp_path / "cells" / f"cell_{n:03d}.png").read_bytes() for n in range(3)]
    run(folder, tmp_path, num_cells=7)
    assert len(made) == 7
    assert [(tmp_path / "cells" / f"cell_{n:03d}.png").read_bytes() for n in range(3)] == pictures
    run(folder, tmp_path, num_cells=2, background="network")  # made otherwise
    assert len(made) == 9 and made[7:] == made[:2]
    assert len(list((tmp_path / "cells").glob("*.png"))) == 2  # of the others, nobody should judge any
    assert strangers_cells.made_by(JobOptions()) == strangers_cells.made_by(JobOptions())


# --- judging ---------------------------------------------------------------------------------------------------------


def judged(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(["cell", *judging.QUESTIONS])] + [f"cell_{n:03d},{row}" for n, row in enumerate(rows)]
    path.write_text("\ufeff" + "\r\n".join(lines), encoding="utf-8")
    return path


def test_a_filled_table_is_scored_with_wilsons_interval(tmp_path):
    rows = ["1,1,1,1,1"] * 3 + ["1,1,0,1,1"] * 5 + ["0,0,0,1,0"] * 2
    found = judging.score(judged(tmp_path / "judge.csv", rows))
    assert found["cells"] == 10 and "refused" not in found
    # Of 3 in 10, by E. B. Wilson's formula: 0.1078 to 0.6032.
    assert (found["right"], found["right_low"], found["right_high"]) == pytest.approx((0.3, 0.1078, 0.6032), abs=1e-4)
    assert (found["sleeves_and_hem"], found["garment"], found["face_and_hands"]) == (0.3, 0.8, 1.0)
    assert (found["garment_low"], found["garment_high"]) == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_refused_cells_are_not_right(tmp_path):
    cells = [judging.Cell(f"cell_{n:03d}", "a", "b", judging.MADE, "", "x") for n in range(4)]
    cells[1] = dataclasses.replace(cells[1], outcome=judging.REFUSED, why="No, there is nothing.")
    judging.write_key(tmp_path, cells)
    path = judged(tmp_path / "cells" / "judge.csv", ["1,1,1,1,1", ",,,,", "0,1,1,1,1", "1,1,1,1,1"])
    found = judging.score(path)
    assert (found["cells"], found["refused"], found["right"], found["garment"]) == (4, 1, 0.5, 0.5)
    judged(path, ["1,1,1,1,1"] * 3)
    with pytest.raises(UserError, match="lacks cell_003, which the key has"):
        judging.score(path)
    judged(path, ["1,1,1,1,1"] * 5)
    with pytest.raises(UserError, match="judges cell_004, which the key does not have"):
        judging.score(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cell,garment\ncell_000,1", "lacks the column place"),
        ("cell,garment,place,sleeves_and_hem,face_and_hands,nothing_torn\n", "judges no cell"),
        (
            "cell,garment,place,sleeves_and_hem,face_and_hands,nothing_torn\nc,1,1,,1,1",
            "says '' of c's sleeves_and_hem",
        ),
        ("cell,garment,place,sleeves_and_hem,face_and_hands,nothing_torn\nc,1,1,2,1,1", "says '2' of c's"),
        ("cell,garment,place,sleeves_and_hem,face_and_hands,nothing_torn\nc,1,1,1,1", "a line of 5 values below 6"),
        ("cell,garment,place,sleeves_and_hem,face_and_hands,nothing_torn\nc,1,1,1,1,1\nc,1,1,1,1,1", "c twice"),
        (b"\xff\xfe\x00", "cannot be read as a table"),
    ],
)
def test_a_malformed_judgement_is_refused_in_a_sentence(command, capsys, tmp_path, text, said):
    path = tmp_path / "judge.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SystemExit) as stopped:
        command("vton_jax.evaluate.__main__", "--suite=strangers", f"--judged={path}")
    error = capsys.readouterr().err.strip()
    assert stopped.value.code == 2 and len(error.splitlines()) == 1 and said in error and "--judged=" in error


def test_the_command_makes_cells_and_counts_what_a_judge_says(toy, command, folder, tmp_path, capsys):
    output = tmp_path / "out"
    flags = ["--suite=strangers", "--system=toy", f"--data={folder}", f"--output={output}", "--num_cells=2"]
    command("vton_jax.evaluate.__main__", *flags)
    kept = (output / "results.json").read_text()
    assert json.loads(kept)["strangers.cells"] == 2 and "cell 2/2" in capsys.readouterr().err
    outcomes = [cell.outcome for cell in judging.read_key(output)]
    judged(output / "cells" / "judge.csv", ["1,1,1,1,1", "1,1,1,1,1"])
    command("vton_jax.evaluate.__main__", "--suite=strangers", f"--judged={output / 'cells' / 'judge.csv'}")
    said = capsys.readouterr().out.split()
    assert float(said[said.index("strangers.judged.right") + 1]) == outcomes.count(judging.MADE) / 2
    assert (output / "results.json").read_text() == kept  # counting only prints
    with pytest.raises(SystemExit, match="2"):
        judge = ["--suite=strangers", f"--judged={output / 'cells' / 'judge.csv'}"]
        command("vton_jax.evaluate.__main__", *judge, f"--compare={output / 'results.json'}")
    assert "nothing is evaluated" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):  # and nobody's judgements are written over
        command("vton_jax.evaluate.__main__", *flags)
    assert "has been filled" in capsys.readouterr().err


def test_options_that_cannot_be_are_refused(tmp_path):
    for options, said in (({}, "needs a folder"), ({"data": "x", "arms": "post,past"}, "past; known are none, post")):
        with pytest.raises(UserError, match=said):
            StrangersSuite(StrangersSuite.Options(**options))
    with pytest.raises(UserError, match="holds no people and garments"):
        run(tmp_path)
