"""FiNet from photo to fillings: what is sampled, what stays, and the command."""

import argparse
import dataclasses
import json

import jax
import numpy as np
import pytest
from finet_people import SIZE, person, write_weights

from benchmarks import ablations, finet_ablation
from vton_jax.core.errors import Cancelled, GarmentForPerson, NoPersonFound, UserError
from vton_jax.core.segmentation import NUM_LABELS
from vton_jax.core.types import Layout
from vton_jax.media import photo_files
from vton_jax.models import weights
from vton_jax.reading.picture_reader import Seen
from vton_jax.systems.finet import cases, sheet, system, variants
from vton_jax.systems.finet.options import InpaintOptions

ONE = person()
LARGE = np.kron(ONE["image"], np.ones((3, 3, 1), np.uint8))  # as a photo shows it


class Reader:
    """Stands in for PictureReader: knows that the picture is `LARGE`, of a person or something else."""

    def __init__(self, kind: int = 1, empty: bool = False):
        self.kind, self.empty = kind, empty

    def read(self, picture, *, thorough=True):
        labels = np.kron(ONE["segmentation"], np.ones((3, 3), np.uint8)) * (not self.empty)
        points = (ONE["keypoints"] + 0.5) * 3 - 0.5
        sure = ONE["visible"].astype(float)
        return Seen(np.eye(3)[self.kind], np.eye(NUM_LABELS, dtype=np.float32)[labels], points, sure, sure, sure,
                    np.full(3, 1 / 3), np.full(4, 0.25), np.zeros(2))  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    write_weights(folder)
    return folder


@pytest.fixture(scope="module")
def finet(folder):
    return system.Finet(folder, reader=Reader())


@pytest.fixture(scope="module")
def somebody(finet):
    return finet.read(LARGE)


def fill(finet, somebody, region="top", seed=0, **options):
    return finet.inpaint(somebody, region, jax.random.PRNGKey(seed), num_samples=3, **options)


def test_weights_of_another_make_are_refused_in_a_sentence(folder, tmp_path):
    for change, says in (
        ({"joints": None}, "of commit 70c86b8 or before"),
        ({"variant": "vunet"}, "of the variant vunet"),
    ):
        for path in folder.glob("*.safetensors"):
            params, settings, _ = weights.load(path)
            weights.save(tmp_path / path.name, params, settings | change)
        with pytest.raises(UserError, match=says):
            system.Finet(tmp_path, reader=Reader())


def test_the_appearance_follows_the_joints(finet, somebody):
    """Of one layout: where arms are before the trunk, joints alone say it."""
    case = finet.case(somebody, "top")
    stage, params = finet.stages[1], finet.params[1]
    z = np.zeros((1, stage.network.latent_size), np.float32)
    one = jax.tree.map(lambda a: np.asarray(a)[None], case)
    before, after = (cases.fill(stage, params, one.replace(pose=pose), z) for pose in (one.pose, one.pose[..., ::-1]))
    assert np.abs(before - after)[one.mask].max() > 1e-5


def test_fillings_differ_and_the_rest_is_the_photos_own(finet, somebody):
    samples = fill(finet, somebody)
    assert samples.images.shape == (3, *LARGE.shape) and samples.images.dtype == np.uint8
    assert np.abs(samples.frames[0] - samples.frames[1]).max() > 1e-4
    head = np.kron(np.isin(ONE["segmentation"], (2, 11)), np.ones((3, 3))).astype(bool)
    head[30:] = False  # off the garment's soft edge
    for image in samples.images:
        np.testing.assert_array_equal(image[head], LARGE[head])
        np.testing.assert_array_equal(image[-20:], LARGE[-20:])
    assert (samples.frames[0] != somebody.frame)[~samples.mask].sum() == 0


def test_what_varies_is_what_was_asked(finet, somebody):
    shapes = fill(finet, somebody, vary="shape")
    looks = fill(finet, somebody, vary="appearance")
    assert (looks.classes == looks.classes[0]).all()
    case = finet.case(somebody, "top")
    given = finet.given(case)
    latents = finet.latents(case, jax.random.PRNGKey(0), 3, vary="shape", garment=None, compatibility=True)
    np.testing.assert_allclose(latents[1], np.tile(given.appearance, (3, 1)), atol=1e-5)  # its own
    assert np.std(latents[0], 0).max() > 0
    both = finet.latents(case, jax.random.PRNGKey(0), 3, vary="none", garment=system.Given(np.ones(8), np.zeros(8)),
                         compatibility=True)  # fmt: skip
    np.testing.assert_array_equal(both[0], np.ones((3, 8)))
    assert not np.asarray(both[1]).any() and shapes.images.shape == looks.images.shape


def test_the_key_decides_all(finet, somebody):
    one, same, other = (fill(finet, somebody, seed=seed).images for seed in (4, 4, 5))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_without_compatibility_anything_goes(finet, somebody):
    """The same key, another prior: N(0, I) whatever else is worn."""
    case, key = finet.case(somebody, "top"), jax.random.PRNGKey(0)
    draw = lambda case, compatibility: finet.latents(  # noqa: E731
        case, key, 4000, vary="both", garment=None, compatibility=compatibility
    )[1]
    anything = np.asarray(draw(case, False))
    np.testing.assert_allclose([anything.mean(0), anything.std(0)], [np.zeros(8), np.ones(8)], atol=0.06)
    elsewhere = case.replace(image=1 - case.image)
    np.testing.assert_array_equal(anything, draw(elsewhere, False))
    assert np.abs(draw(case, True) - draw(elsewhere, True)).max() > 1e-4


def test_who_is_cut_off_stands_as_large_as_others(finet, somebody):
    """A photo that ends at the hips: the joints beyond it say how tall its person is."""
    rows = 3 * 40
    labels = np.kron(ONE["segmentation"], np.ones((3, 3), np.uint8))[:rows]
    places = (ONE["keypoints"] + 0.5) * 3 - 0.5
    seen = ONE["visible"] & (places[:, 1] < rows)
    layout = Layout(labels, np.where(seen[:, None], places, 0), seen)
    whole = finet.person_of(LARGE[:rows], layout, places)
    alone = finet.person_of(LARGE[:rows], layout)
    tall = lambda person: person.box[3] - person.box[1]  # noqa: E731
    assert abs(tall(whole) - tall(somebody)) < 0.05 * tall(somebody) and tall(alone) < 0.8 * tall(somebody)
    assert fill(finet, whole).images.shape == (3, *LARGE[:rows].shape)


def test_mistakes_are_said_in_a_sentence(folder, finet, somebody):
    with pytest.raises(GarmentForPerson):
        system.Finet(folder, reader=Reader(kind=2)).read(LARGE)
    with pytest.raises(NoPersonFound):
        system.Finet(folder, reader=Reader(empty=True)).read(LARGE)
    with pytest.raises(UserError, match="vary is one of"):
        fill(finet, somebody, vary="colour")
    with pytest.raises(UserError, match="No hat was found"):
        finet.read_garment(LARGE, "hat")
    with pytest.raises(UserError, match="The variant gan is unknown"):
        system.Finet(folder, "gan")
    with pytest.raises(UserError, match="do not exist"):
        system.Finet(folder / "missing")
    unseen = somebody.layout.replace(visible=np.zeros(18, bool), segmentation=np.zeros(SIZE, np.uint8))
    with pytest.raises(UserError, match="does not show where the shoes would be"):
        fill(finet, dataclasses.replace(somebody, layout=unseen), "shoes")


def test_a_garment_that_is_given_is_encoded_worn_or_flat(folder, finet, somebody):
    worn = finet.read_garment(LARGE, "top")
    np.testing.assert_allclose(worn.shape, finet.given(finet.case(somebody, "top")).shape, atol=1e-5)
    flat = system.Finet(folder, reader=Reader(kind=2)).read_garment(LARGE, "top")
    assert flat.shape.shape == worn.shape.shape and np.abs(flat.shape - worn.shape).max() > 0


def test_the_command_writes_a_sheet_and_every_filling(finet, tmp_path):
    photo = tmp_path / "me.png"
    photo_files.write_image(photo, LARGE)
    filled = sheet.fill(InpaintOptions(person=str(photo), num_samples=2, region="bottom"), finet)
    assert list(filled.samples) == ["both", "shape", "appearance"]
    written = filled.write(tmp_path / "out" / "sheet.png")
    assert len(written) == 1 + 3 * 2 and all(path.is_file() for path in written)
    assert photo_files.read_photo(written[1]).shape == LARGE.shape
    given = sheet.fill(InpaintOptions(person=str(photo), garment=str(photo)), finet)
    assert list(given.samples) == ["none"] and len(given.samples["none"].images) == 1
    assert photo_files.read_photo(sheet.SAMPLE).shape == (512, 384, 3)


def test_filling_in_says_how_far_it_is_and_ends_between_two(finet, tmp_path):
    photo_files.write_image(tmp_path / "me.png", LARGE)
    options, seen = InpaintOptions(person=str(tmp_path / "me.png"), num_samples=2), []

    def until(last):
        def step(*said):
            seen.append(said)
            if said == last:
                raise Cancelled

        return step

    sheet.fill(options, finet, until(None))
    assert seen[0] == ("reading", 0, 1)
    assert list(dict.fromkeys(seen[1:])) == [("filling in", done, 6) for done in range(7)]
    seen.clear()
    with pytest.raises(Cancelled):
        sheet.fill(options, finet, until(("filling in", 3, 6)))
    assert seen[-1] == ("filling in", 3, 6)


def test_the_comparison_trains_every_network_alike_and_shows_them_in_one_table(tmp_path):
    found = finet_ablation.trainings(list(variants.VARIANTS))
    files = [file for file, _, _ in found]
    assert len(set(files)) == len(files) == 2 + 2 + 5 and files[:2] == ["finet_shape", "finet_appearance"]
    options = argparse.Namespace(output="o", dataset="d", scale=0.5)
    steps = set()
    for file, stage, name in found:
        command = ablations.training(file, name, [f"finet_{stage}_start"], finet_ablation.STEPS[stage], options)
        assert f"--export=o/{file}.safetensors" in command and f"--variant={name}" in command
        assert "--max_seconds=0" in command and "--init_from=" in command  # by no clock, from nobody's weights
        steps |= {flag for flag in command if flag.startswith("--num_steps=")}
    assert len(steps) == 1
    for name in ("full", "vunet"):
        (tmp_path / name).mkdir()
        prefix = "finet" if name == "full" else "finet.vunet"
        keys = [f"finet.{name}.rule_keeping.with", f"{prefix}.transfer.lpips"]
        results = {f"{key}{end}": number for key in keys for number, end in enumerate(("", ".low", ".high"))}
        (tmp_path / name / "results.json").write_text(json.dumps(results))
    rows = finet_ablation.table(tmp_path, ["full", "vunet"]).splitlines()
    assert len(rows) == 4 and all(row.count("0.000 (1.000 to 2.000)") == 2 for row in rows[2:])
    assert rows[3].startswith("| `vunet` |") and rows[3].count("| - ") == len(finet_ablation.COLUMNS) - 2
