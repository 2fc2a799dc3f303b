"""The try-on path on the packaged sample, and the scripts on bad input."""

import contextvars
import csv
import os
import subprocess
import sys
from pathlib import Path

import cv2
import jax
import numpy as np
import pytest

from vton_jax.catalogue import examples, exchanges
from vton_jax.compositing import backdrops, normalisation
from vton_jax.core import framing, keypoints, programs, segmentation
from vton_jax.core.batching import spread
from vton_jax.core.errors import (
    EmptyPicture,
    GarmentForPerson,
    GarmentsExclude,
    NoGarmentFound,
    NoPersonFound,
    NoTorso,
    UserError,
)
from vton_jax.core.types import Layout
from vton_jax.media import photo_files, video_files
from vton_jax.reading.picture_reader import PictureReader, layout_of
from vton_jax.systems import reader as reader_lib
from vton_jax.systems.garments import own_garment
from vton_jax.systems.job import TryOnJob
from vton_jax.systems.lab126 import target_layouts
from vton_jax.systems.lab126.painter import Painter
from vton_jax.systems.lab126.system import Lab126
from vton_jax.systems.protocol import PeopleReader, TryOnSystem
from vton_jax.systems.reader import Reader, _upright

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "vton_jax" / "samples"


@pytest.fixture(scope="module")
def system():
    return Lab126("joint")


@pytest.fixture(scope="module")
def user():
    return photo_files.read_photo(SAMPLES / "person.png")


@pytest.fixture(scope="module")
def garment():
    return photo_files.read_photo(SAMPLES / "garment.png")


def test_what_a_try_on_calls_was_rehearsed(system, monkeypatch):
    called, call = {True: set(), False: set()}, programs.Program.__call__

    def watched(program, *arguments):
        leaves, tree = jax.tree.flatten(arguments)
        signature = program.__qualname__, str(tree), tuple(map(programs._kind, leaves))
        called[programs._REHEARSED.get()].add(signature)
        if not programs._REHEARSED.get():
            return call(program, *arguments)
        return jax.tree.map(lambda one: np.zeros(one.shape, one.dtype), program._jitted.eval_shape(*arguments))

    def here(*calls):
        for one in calls:
            contextvars.copy_context().run(lambda one=one: (programs._REHEARSED.set(True), one()))

    monkeypatch.setattr(programs.Program, "__call__", watched)
    monkeypatch.setattr(programs, "rehearse", here)
    job = TryOnJob(system=system, num_frames=2, remap="joint")
    assert len(list(job.results(job.read()))) == 2
    assert len(called[False]) >= 7 and called[False] <= called[True]


def test_batches_are_painted_as_each_by_itself(system, user, garment):
    who, worn = system.read_user(user), (system.read_garment(garment),)
    targets = spread(who.layout, 2)
    mirrored = targets.replace(segmentation=targets.segmentation[..., ::-1])
    each = [one for of in (targets, mirrored) for one in system.painter.paint(who, worn, of)]
    found = list(system.painter.paint_all(iter([(who, targets), (who, mirrored)]), worn))
    assert len(found) == len(each) == 4 and not np.array_equal(each[0].image, each[2].image)
    for one, two in zip(found, each, strict=True):
        np.testing.assert_array_equal(one.image, two.image)


def test_latents_are_read_when_somebody_looks(system, user, monkeypatch):
    latents, asked = Reader.latents, []
    monkeypatch.setattr(Reader, "latents", lambda self, frames: asked.append(1) or latents(self, frames))
    poses = system.read_poses(user[None])
    halves = jax.tree.map(lambda a: a[:1], poses)
    assert not asked and len(halves.latent) == 1 and halves.latent[0].shape == poses.latent.shape[1:]
    np.testing.assert_array_equal(np.asarray(halves.latent), latents(system.reader, user[None]))
    assert np.asarray(poses.latent).dtype == np.float32 and len(asked) == 1


def test_the_forward_procedure_reads_a_person(system, user):
    layout, z = system.reader.read_people(user[None])
    image = system.reader.smoothed(z)
    assert z.shape[1] <= 128
    assert layout.visible[0].sum() >= 12
    assert 0.05 < (layout.segmentation > 0).mean() < 0.4
    assert image.shape == (1, *system.size, 3)
    nose, ankle = layout.keypoints[0, 0], layout.keypoints[0, 10]
    assert nose[1] < ankle[1]


def test_a_batch_is_read_as_its_frames_one_by_one(system, user):
    mirrored = user[:, ::-1]
    both, z = system.reader.read_people(np.stack([user, mirrored]))
    alone, own = system.reader.read_people(mirrored[None])
    np.testing.assert_allclose(z[1], own[0], atol=1e-3)
    assert (both.segmentation[1] == alone.segmentation[0]).mean() > 0.999


def test_layouts_are_reader_cnns_and_latents_are_multi_path_cnns(system, user):
    (sharp, z), (plain, own) = system.reader.read_layouts(user[None]), system.reader.read_people(user[None])
    np.testing.assert_allclose(z, own, atol=1e-5)
    layout = layout_of(PictureReader().read(user))
    np.testing.assert_array_equal(sharp.segmentation[0], layout.segmentation)
    np.testing.assert_array_equal(sharp.keypoints[0], layout.keypoints)
    assert (sharp.segmentation != plain.segmentation).any()


def test_an_unknown_arm_is_refused():
    with pytest.raises(UserError, match="arm best is none of none, post, pre, joint"):
        Painter("best", (256, 192))


def test_a_picture_is_read_once(user, monkeypatch):
    """The photo is a pose, too, and says where somebody stands before it says who."""
    reader, looks = Reader(), []
    read = PictureReader.read
    monkeypatch.setattr(
        PictureReader, "read", lambda self, picture, *, thorough=True: (looks.append(thorough), read(self, picture))[1]
    )
    large = framing.resize(user, (512, 384))
    first, again = reader.stand_of(large), reader.stand_of(large.copy())
    assert first == again and first.bottom - first.top > 0.5 and not reader.looks_flat(large) and looks == [False]
    worn = reader.read_garment(user, "outfit", False)
    poses, described = reader.read_poses(user[None]), reader.describe(user)
    assert looks == [False, True] and described.kind == "person"
    np.testing.assert_array_equal(poses.layout.segmentation[0], worn.layout.segmentation)
    for shift in range(5):  # others come between
        reader.looks_flat(np.roll(user, 9 * (shift + 1), 1))
    reader.stand_of(large)
    assert len(looks) == 8


@pytest.fixture(scope="module")
def drawn():
    """A drawn person and the top that they are to wear, alone."""
    number = next(n for n in range(1, 40) if exchanges.about(n, "validation")["garment_type"] == "upper")
    return examples.draw(number, "validation", closest=0.86)


def test_what_nobody_can_be_dressed_in_is_refused(drawn):
    reader = Reader()
    with pytest.raises(GarmentForPerson, match="exchanged"):
        reader.read_user(drawn["flat_image"])
    face = np.argwhere(drawn["input_segmentation"] == segmentation.ID["face"])
    (top, left), (bottom, right) = face.min(0) - [24, 30], face.max(0) + [14, 30]
    portrait = framing.resize(drawn["input_image"][max(top, 0) : bottom, max(left, 0) : right], (320, 240))
    place, _ = normalisation.normalisation_of(reader, [portrait])
    with pytest.raises((NoTorso, NoPersonFound)):
        reader.read_user(place.bring(portrait, reader.size), place.shown(reader.size))


def test_a_flat_garment_of_a_photo_is_one_piece_on_a_body(drawn):
    garment = Reader().read_garment(drawn["flat_image"])
    assert bool(garment.flat) and segmentation.GARMENT_TYPES[int(garment.garment_type)] == "upper"
    mask, true = np.asarray(garment.layout.segmentation) > 0, drawn["flat_segmentation"] > 0
    assert (mask & true).sum() / (mask | true).sum() > 0.93
    points, given = garment.layout.keypoints, garment.layout.visible
    left, right, neck, hips = (
        points[[keypoints.ID[name] for name in names]].mean(0)
        for names in (["left-shoulder"], ["right-shoulder"], ["neck"], ["left-hip", "right-hip"])
    )
    assert given[keypoints.ID["left-wrist"]] and not given[keypoints.ID["left-knee"]]
    assert right[0] < neck[0] < left[0] and hips[1] > neck[1]


@pytest.mark.parametrize(
    ("box", "eyes", "ankles", "expected"),
    [
        ((0, 20, 9, 180), 30, 170, (20, 180, False)),  # whole
        ((0, 20, 9, 195), 30, 310, (20, 310 + 0.08 * 280, True)),  # ends early: to the soles that the ankles say
        ((0, 0, 9, 180), 5, 170, (5 - 0.1 * 180, 180, False)),  # the head is cut off
        ((0, 20, 9, 200), 30, 190, (20, 200, False)),  # stands on the lower edge
    ],
)
def test_where_people_end_beyond_a_picture(box, eyes, ankles, expected):
    points = np.zeros((18, 2))
    points[[keypoints.ID[name] for name in ("nose", "left-eye", "right-eye")], 1] = eyes
    points[[keypoints.ID[name] for name in ("left-ankle", "right-ankle")], 1] = ankles
    top, bottom, cut = _upright(np.array(box, float), points, 200)
    assert (top, bottom) == pytest.approx(expected[:2]) and cut == expected[2]


def test_flat_and_worn_garments_are_told_apart(system, user, garment):
    assert system.reader.looks_flat(garment)
    assert not system.reader.looks_flat(user)
    donor = system.read_garment(garment)
    assert segmentation.GARMENT_TYPES[int(donor.garment_type)] == "upper"
    worn = system.read_garment(user)
    assert segmentation.GARMENT_TYPES[int(worn.garment_type)] == "outfit"
    background = ~segmentation.region(np.asarray(worn.layout.segmentation), segmentation.GARMENTS)
    assert (worn.image[background] == 1).all()


def test_it_keeps_the_contracts(system):
    assert isinstance(system, TryOnSystem) and isinstance(system.reader, PeopleReader)


def test_a_picture_without_a_garment_or_person_is_refused(system):
    blank = np.full((*system.size, 3), 255, np.uint8)
    with pytest.raises(EmptyPicture, match="nothing in the garment picture"):
        system.read_garment(blank)
    with pytest.raises(EmptyPicture, match="nothing in the photo"):
        system.read_user(blank)
    with pytest.raises(EmptyPicture, match="nothing in the pose picture"):
        system.read_poses(blank[None])
    noise = np.random.default_rng(0).integers(0, 255, blank.shape).astype(np.uint8)
    with pytest.raises(NoGarmentFound, match="No garment") as found:
        system.read_garment(noise, flat=True)
    assert found.value.flat and "--" not in str(found.value)  # flags are the command line's


def test_a_garments_own_mask_is_kept_exactly(system, user, garment):
    """Whatever the networks see: of white on white it is all there is."""
    mask = np.zeros(system.size, bool)
    mask[40:180, 50:150] = True
    for frame in (garment, np.full((*system.size, 3), 255, np.uint8)):
        read = system.read_garment(frame, "upper", True, mask)
        labels = np.asarray(read.layout.segmentation)
        np.testing.assert_array_equal(labels == segmentation.ID["upper-clothes"], mask)
        assert (np.asarray(read.image)[~mask] == 1).all() and set(np.unique(labels)) <= {0, 4}
    worn = system.read_garment(user, "upper", False, mask)
    assert not np.asarray(worn.layout.segmentation)[~mask].any()


def test_no_person_is_refused():
    empty = Layout(np.zeros((256, 192), np.uint8), np.zeros((18, 2)), np.zeros(18, bool))
    with pytest.raises(NoPersonFound, match="No person was found in the photo"):
        reader_lib.require_person(empty, "the photo")


@pytest.mark.parametrize("layout", ["refined", "backward"])
def test_the_clip_dresses_the_user(layout, user, garment, monkeypatch):
    monkeypatch.setattr(target_layouts, "SEARCHED", 2)
    system, count = Lab126("joint", layout=layout), 3
    frames, _ = video_files.read_frames(SAMPLES / "pose.mp4", count)
    worn, donor, poses = system.read_user(user), system.read_garment(garment), system.read_poses(np.stack(frames))
    worn = worn.replace(backdrop=backdrops.backdrop(worn.image, worn.layout.segmentation))
    results = list(system.dress(worn, [donor], poses))
    with pytest.raises(GarmentsExclude, match="2 garments of type 'upper'"):
        next(system.dress(worn, [donor, donor], poses))
    assert len(results) == count
    for result in results:
        assert result.image.shape == (*system.size, 3)
        assert np.isfinite(result.image).all() and result.image.min() >= 0 and result.image.max() <= 1
        assert segmentation.UNKNOWN not in result.target.final
        # The long-sleeved garment replaces the sleeveless one: hardly any bare arm is left.
        arms = segmentation.region(result.target.final, segmentation.ARMS).sum()
        assert arms < 0.2 * segmentation.region(result.target.final, segmentation.UPPER).sum()
    first = results[0].target.errors
    if layout == "backward":
        assert first.min() < 0.8 * first[0]  # it begins where LatentPriorCNN expects the end
        assert len(results[2].target.errors) < len(first)
    else:
        assert not len(first)  # nothing was searched
    # Behind the result stands the user's background.
    corner = np.abs(results[0].image[:20, :20] * 255 - user[:20, :20]).mean()
    assert corner < 6


def test_what_the_refinement_has_not_seen_is_left_to_the_backward_procedure(system, user, garment):
    """LayoutRefinementCNN knows other people's clothes as they fall."""
    worn, donor, poses = system.read_user(user), system.read_garment(garment), system.read_poses(user[None])
    found = [
        system.layouts.composed(worn.layout, donor.replace(tuck=tuck), poses.layout) for tuck in (None, np.int32(1))
    ]
    assert found[0].refined is not None and found[1].refined is None
    assert system.layouts.composed(worn.layout, own_garment(worn), poses.layout).refined is None


@pytest.mark.parametrize("arm", ["none", "post", "pre"])
def test_every_arm_paints(arm, system, user, garment):
    """Each arm has its own weights or way; where the garment is, `post` and `none` differ, elsewhere they agree."""
    poses = system.read_poses(user[None]).layout
    worn, donor = system.read_user(user), system.read_garment(garment)
    dressed = Painter(arm, system.size).dress(worn, donor, poses)
    painted = dressed.image
    assert painted.shape == (1, *system.size, 3) and np.isfinite(painted).all()
    assert (np.abs(dressed.flow).max() > 1) == (arm != "none")
    assert (dressed.photo_weight + dressed.garment_weight <= 1 + 1e-5).all() and dressed.photo_weight.min() >= 0
    if arm == "post":
        before = Painter("none", system.size).dress(worn, donor, poses).image
        types = segmentation.GARMENT_TYPES[int(donor.garment_type)]
        inside = segmentation.region(poses.segmentation[0], segmentation.GARMENT_LABELS[types])
        np.testing.assert_allclose(painted[0][~inside], before[0][~inside], atol=1e-5)
        assert np.abs(painted[0] - before[0])[inside].mean() > 0.005


def run(script: str, *arguments: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


def bad_files(folder: Path) -> dict[str, list[str]]:
    (folder / "text.jpg").write_text("not a picture")
    cv2.imwrite(str(folder / "tiny.png"), np.zeros((1, 1, 3), np.uint8))
    (folder / "empty").mkdir()
    clip = (SAMPLES / "pose.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(clip[: len(clip) // 2])
    return {
        "text": [f"--person={folder / 'text.jpg'}"],
        "tiny": [f"--garment={folder / 'tiny.png'}"],
        "folder": [f"--person={folder / 'empty'}"],
        "cut": [f"--pose={folder / 'cut.mp4'}"],
        "missing": [f"--person={folder / 'nobody.jpg'}"],
        "flag": ["--persom=me.jpg"],
        "output": [f"--output={folder / 'text.jpg' / 'clip.mp4'}"],
    }


@pytest.mark.parametrize("kind", ["text", "tiny", "folder", "cut", "missing", "flag", "output"])
def test_bad_input_is_one_sentence_and_leaves_nothing(command, capsys, tmp_path, kind):
    arguments = f"--output={tmp_path / 'out' / 'clip.mp4'}", *bad_files(tmp_path)[kind]
    if kind == "text":  # as a user runs it, once; an error that nobody catches would end the others as well
        done = run("render.py", *arguments)
        code, said = done.returncode, done.stderr
    else:
        with pytest.raises(SystemExit) as stopped:
            command("vton_jax.render", *arguments)
        code, said = stopped.value.code, capsys.readouterr().err
    assert code != 0
    assert "Traceback" not in said
    assert 1 <= len([line for line in said.strip().splitlines() if line]) <= 2, said
    assert not list(tmp_path.glob("out/*"))


def test_invert_writes_what_it_promises(command, tmp_path):
    command("vton_jax.invert", f"--output={tmp_path}", "--num_iterations=12")
    for name in ("coarse.png", "final.png", "steps.png", "iterations.mp4", "error.csv"):
        assert (tmp_path / name).stat().st_size > 0
    with open(tmp_path / "error.csv") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["iteration", "error"]
    errors = [float(row[1]) for row in rows[1:]]
    assert 5 < len(errors) <= 12 and errors[-1] < 0.8 * errors[0]
    assert not list(tmp_path.glob(".*"))


def test_invert_presents_an_image(command, tmp_path, capsys):
    command("vton_jax.invert", f"--output={tmp_path}", "--present=image", "--num_iterations=6")
    shown = [cv2.imread(str(tmp_path / name)).astype(float) for name in ("presented.png", "final.png")]
    with open(tmp_path / "error.csv") as file:
        errors = [float(row[1]) for row in list(csv.reader(file))[1:]]
    assert errors[-1] < 0.95 * errors[0]
    assert abs(np.abs(shown[0] - shown[1]).mean() / 255 - errors[-1]) < 0.01
    with pytest.raises(SystemExit):
        command("vton_jax.invert", f"--output={tmp_path}", "--present=image", "--pose=walk.mp4")
    assert "--present=layout" in capsys.readouterr().err


def test_real_pictures_do_not_crash(command, test_data, tmp_path):
    tryon = test_data / "tryon"
    command(
        "vton_jax.render",
        f"--person={tryon / 'person' / '01992_00.jpg'}",
        f"--garment={tryon / 'garment' / '00055_00.jpg'}",
        f"--pose={test_data / 'video' / 'ubc_fashion' / '91BjuE6irxS.mp4'}",
        "--num_frames=2",
        f"--output={tmp_path / 'real.mp4'}",
    )
    assert (tmp_path / "real.png").exists()
