"""The registries of suites and systems: what takes a few lines and a name runs through the real entry points."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from stand_ins import Distances

from vton_jax import evaluate, systems
from vton_jax.core import segmentation
from vton_jax.core.errors import UserError
from vton_jax.core.options import option
from vton_jax.core.types import Dressed, Garment, Layout, Pose, Result, Target, User
from vton_jax.evaluate import dressing, perceptual
from vton_jax.media import photo_files, video_files

ROOT = Path(__file__).resolve().parents[2]
SIZE = (64, 48)


class ToySuite:
    """Pixels of one grey."""

    name = "toy"

    @dataclasses.dataclass(frozen=True)
    class Options:
        grey: int = option(3, "Which grey.", lower_bound=0)
        seed: int = option(7, "No seed of cases.")

    def __init__(self, options):
        self.options, self.pictures = options, {}
        self.texts = {"protocol": {"suite": "toy"}, "about": {"seed": str(options.seed)}}

    def run(self):
        self.pictures["One, grey"] = np.full((16, 16, 3), self.options.grey, np.uint8)
        yield "toy.grey", float(self.options.grey)
        yield "toy.nothing", float("nan")

    def sections(self, results):
        return [f"<p>grey is {results['toy.grey']}</p>"]


def people(frames):
    """A bust amid every frame."""
    labels = np.zeros((len(frames), *SIZE), np.uint8)
    labels[:, 20:50, 15:35] = segmentation.ID["upper-clothes"]
    return Layout(labels, np.full((len(frames), 18, 2), 20.0, np.float32), np.ones((len(frames), 18), bool))


class ToySystem:
    """Returns the photo, whatever the garment; frames read as `people`."""

    size, reader = SIZE, property(lambda self: self)

    def read_user(self, frame, shown=None):
        layout = people([frame])
        return User(frame / np.float32(255), Layout(*(getattr(layout, n)[0] for n in vars(layout))), np.zeros(1), shown)

    def read_garment(self, frame, garment_type=None, flat=None):
        user = self.read_user(frame)
        return Garment(user.image, user.layout, np.int32(0), np.bool_(bool(flat)))

    def read_poses(self, frames):
        return Pose(people(frames), np.zeros((len(frames), 1)))

    def dress(self, user, garments, poses):
        for labels in poses.layout.segmentation:
            rest = [np.zeros((*SIZE, *axes), np.float32) for axes in ((2,), (), (), (2,), ())]
            yield Result(Dressed(user.image, labels, *rest), Target(labels, labels, np.ones(1), {}))


class Parser:
    """Stands in for the parser of photos."""

    name = "a bust"

    def __init__(self, path):
        pass

    def parse(self, frames):
        return people(frames).segmentation, np.ones(len(frames))


@pytest.fixture
def toy_system(monkeypatch):
    """The options that the system is made with."""
    made = []
    monkeypatch.setitem(systems.SYSTEMS, "toy", lambda options: (made.append(options), ToySystem())[1])
    monkeypatch.setattr(dressing, "PictureReader", Parser)
    monkeypatch.setattr(perceptual, "open_distances", lambda asked: Distances())
    return made


@pytest.fixture
def photos(tmp_path):
    """A pair of a person and a garment, and a clip."""
    photo = np.random.default_rng(0).integers(0, 255, (*SIZE, 3)).astype(np.uint8)
    for folder in ("person", "garment"):
        (tmp_path / folder).mkdir()
        photo_files.write_image(tmp_path / folder / "a.png", photo)
    video_files.write_video(tmp_path / "walk.mp4", [np.roll(photo, i, 1) for i in range(9)], 10)
    return tmp_path


def read(folder):
    return json.loads((folder / "results.json").read_text())


# --- suites ----------------------------------------------------------------------------------------------------------


def test_a_suite_of_a_few_lines_is_flags_numbers_and_a_report(command, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(evaluate.SUITES, "toy", ToySuite)
    command("vton_jax.evaluate.__main__", "--suite=toy", "--grey=5", "--stride=4", f"--output={tmp_path / 'out'}")
    results = read(tmp_path / "out")
    assert results.pop("seconds") >= 0
    assert results == {"toy.grey": 5, "toy.nothing": None, "toy.protocol.suite": "toy", "toy.about.seed": "7"}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "grey is 5.0" in page and "toy.nothing" in page and "One, grey" in page and "data:image/png" in page
    assert (photo_files.read_photo(tmp_path / "out" / "one_grey.png") == 5).all()
    said = capsys.readouterr()
    assert "toy.grey" in said.out and "suite: toy" in said.out and "report.html" in said.err
    earlier = f"--compare={tmp_path / 'out' / 'results.json'}"
    command("vton_jax.evaluate.__main__", "--suite=toy", earlier, f"--output={tmp_path / 'again'}")
    assert "5.0000 -> 3.0000  -2.0000" in capsys.readouterr().out


def test_help_lists_the_options_of_a_suite_or_of_all(command, monkeypatch, capsys):
    monkeypatch.setitem(evaluate.SUITES, "toy", ToySuite)
    for arguments in (["--suite=toy", "--help"], ["--help"]):
        with pytest.raises(SystemExit, match="0"):
            command("vton_jax.evaluate.__main__", *arguments)
    alone, everything = capsys.readouterr().out.split("Evaluation: ")[1:]
    assert "--grey=int\n      Which grey. (default: 3)" in alone and "--stride" not in alone and "--output" in alone
    everything = " ".join(everything.split())
    assert "toy: Which grey." in everything and "ubc: Every so many frames is scored" in everything
    seeds = everything[everything.index("catalogue: Which of the split's people and garments.") :]
    seeds = seeds[: seeds.index("(default: 0)")]  # one flag for all suites that have a seed
    assert "critic: Seed of the first critic." in seeds and seeds.endswith("toy: No seed of cases. ")
    for name in ("suite", "output", "data", "ids", "pairs", "ccp_parts", "stride", "background", "num_cases",
                 "num_clip_frames", "num_examples", "seed", "num_failure_cases", "compare", "weights",
                 "perceptual", "system", "arms", "num_cells", "judged"):  # fmt: skip
        assert f" --{name}=" in everything


def test_defaults_are_those_of_the_suite_that_is_asked_for(monkeypatch):
    monkeypatch.setitem(evaluate.SUITES, "toy", ToySuite)
    assert evaluate.all_options("toy")().seed == 7 and evaluate.all_options("critic")().seed == 0
    assert {name for name in evaluate.SUITES if hasattr(evaluate.suite_class(name).Options(), "background")} == {
        "ccp", "ubc", "pairs", "strangers"
    }  # fmt: skip
    with pytest.raises(UserError, match="suite=tooy is unknown; known are catalogue, "):
        evaluate.all_options("tooy")


@pytest.mark.parametrize("name", list(evaluate.SUITES))
def test_every_suite_meets_the_contract(name):
    suite = evaluate.suite_class(name)
    assert suite.name == name and callable(suite.run) and isinstance(suite.sections, type(suite.run))
    for field in dataclasses.fields(suite.Options):
        assert field.metadata["help"].endswith("."), field.name
    with pytest.raises(dataclasses.FrozenInstanceError):
        suite.Options().system = "toy"


def test_names_options_and_help_need_no_jax():
    program = (
        "import sys\nfrom vton_jax import evaluate\nfrom vton_jax.evaluate import report\n"
        "evaluate.all_options('catalogue')\nassert not {'jax', 'flax', 'cv2'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)


# --- systems ---------------------------------------------------------------------------------------------------------


def test_a_system_of_a_few_lines_makes_a_clip(command, toy_system, photos):
    files = [f"--person={photos / 'person' / 'a.png'}", f"--garment={photos / 'garment' / 'a.png'}"]
    files += [f"--pose={photos / 'walk.mp4'}", f"--output={photos / 'out' / 'clip.mp4'}"]
    command("vton_jax.render", "--system=toy", "--framing=pose", *files)
    frames, _ = video_files.read_frames(photos / "out" / "clip.mp4")
    assert len(frames) == 9 and frames[0].shape == (*SIZE, 3) and (photos / "out" / "clip.png").exists()
    assert [made.system for made in toy_system] == ["toy"]


def test_a_system_of_a_few_lines_is_evaluated(command, toy_system, photos):
    command("vton_jax.evaluate.__main__", "--suite=pairs", "--system=toy", f"--data={photos}", f"--output={photos}")
    results = read(photos)
    assert results["pairs.toy.ssim"] == results["pairs.hidden.ssim"] < 1 and results["pairs.about.system"] == "toy"
    assert "<td>toy<td>" in (photos / "report.html").read_text()
    options = "--suite=ubc", "--system=toy", "--stride=3", "--num_clip_frames=3", "--background=network"
    command("vton_jax.evaluate.__main__", *options, f"--data={photos}", f"--output={photos}")
    results = read(photos)
    for score in ("ssim", "psnr_garment", "lpips"):  # the toy returns the first frame
        assert results[f"ubc.toy.{score}"] == pytest.approx(results[f"ubc.first_frame.{score}"])
    assert results["ubc.toy.flicker"] == pytest.approx(0, abs=1e-6) and "ubc.keypoint_error" not in results
    assert "ubc.toy.filtered.flicker" in results and not any("joint" in name for name in results)


@pytest.mark.parametrize(
    "arguments", [["--suite=catalogue"], ["--suite=critic", "--data=x"], ["--suite=ccp", "--data=x"]]
)
def test_suites_that_look_into_a_systems_parts_say_so(command, toy_system, tmp_path, capsys, arguments):
    with pytest.raises(SystemExit, match="2"):
        command("vton_jax.evaluate.__main__", "--system=toy", f"--output={tmp_path / 'out'}", *arguments)
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("--system=toy cannot be evaluated here: the suite") and "the parts of lab126" in line
    assert not (tmp_path / "out").exists() and not toy_system


def test_an_unknown_system_is_named(command, photos, capsys):
    with pytest.raises(SystemExit, match="2"):
        command(
            "vton_jax.evaluate.__main__", "--suite=pairs", "--system=nobody", f"--data={photos}", f"--output={photos}"
        )
    assert capsys.readouterr().err.strip() == "The system nobody is unknown; known are lab126, clothflow."
