"""The catalogue's shards: what is drawn comes back, builds go on, and both readers see it."""

import contextlib

import numpy as np
import pytest

tfds = pytest.importorskip("tensorflow_datasets")

import cv2

from data import leakage
from data.catalogue import catalogue, grounds, stances
from data.raw import engine
from vton_jax.catalogue import examples, exchanges, poses, scenes
from vton_jax.core.errors import UserError
from vton_jax.inputs import catalogue_examples, input_pipeline

SIZE = (64, 48)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Ten grounds of one grey each."""
    folder = tmp_path_factory.mktemp("grounds")
    for number in range(10):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((60, 40, 3), 25 * number, np.uint8))
    return folder


@pytest.fixture(scope="module")
def settings(places):
    return catalogue.Settings(examples=4, size=SIZE, grounds=str(places))


@contextlib.contextmanager
def few(work=None):
    """Two examples of a user, one user a shard, all in this process; `work` sees each shard before it is drawn."""

    def serially(todo, function, workers=0, *, unit="step", rejected=None):
        for job in todo:
            if work:
                work(job)
            function(job)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(examples, "EXAMPLES_OF_ONE", 2)
        patch.setattr(catalogue, "USERS", 1)
        patch.setattr(engine, "run_locally", serially)
        yield


@pytest.fixture(scope="module")
def built(settings, tmp_path_factory):
    with few():
        return catalogue.build(tmp_path_factory.mktemp("data"), settings)


def test_what_is_drawn_comes_back(built, settings):
    builder = tfds.builder_from_directory(str(built))
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == {
        "train": 4, "validation": 2, "test": 2,
    }  # fmt: skip
    for split, number in (("train", 3), ("validation", 0)):
        found = catalogue_examples.decoded(builder.as_data_source(split)[number])
        with few():
            drawn = examples.draw(number, split, SIZE, scenes.Grounds(settings.grounds, split))
        assert found.keys() == drawn.keys()
        for name, array in drawn.items():
            if name.endswith("_image"):
                assert np.abs(found[name].astype(int) - array).mean() < 3  # JPEG
            else:
                np.testing.assert_allclose(found[name], array, atol=0.5 / catalogue_examples.FLOW_UNIT + 1e-6)


def test_people_are_told_apart_in_all_splits(built, tmp_path):
    """Ids stand for bodies, not for numbers in a split: the check finds none in two parts, and finds one that is."""
    parts, _ = leakage.read_parts(built)
    people = [set(part.people) for part in parts.values()]
    assert all(people) and not set.intersection(*people) and leakage.check(built).problems == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leakage, "read_parts", lambda folder: ({"train": parts["train"], "test": parts["train"]}, {}))
        (person,) = parts["train"].people.keys() & {exchanges.about(0)["person_id"]}
        assert any(f"person {person} is in train and test" in line for line in leakage.check(built).problems)


def test_it_is_learned_from(built):
    batches = input_pipeline.open_batches(str(built), 4, 0, SIZE, "train")
    samples = [next(batches) for _ in range(4)]
    assert all(set(input_pipeline.REQUIRED) <= set(batch) for batch in samples)
    assert {bool(flat) for batch in samples for flat in batch["donor_flat"]} == {True, False}
    mixed = input_pipeline.open_batches(f"{built}:0.5,{built}:0.5", 2, 0, SIZE, "train")
    first, position = next(mixed), mixed.get_state()
    second = next(mixed)
    mixed.set_state(position)
    np.testing.assert_array_equal(next(mixed)["input_image"], second["input_image"])
    assert (first["input_image"] != second["input_image"]).any()


def test_a_stopped_build_goes_on_to_the_same_bytes(built, settings, tmp_path):
    def stop(job):
        if job.split == "test":
            raise KeyboardInterrupt

    with few(stop), pytest.raises(KeyboardInterrupt):
        catalogue.build(tmp_path, settings)
    assert not (tmp_path / "catalogue").exists()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.array_record-*")}
    assert len(before) == 3
    with few():
        again = catalogue.build(tmp_path, settings)
    assert sorted(path.name for path in again.iterdir()) == sorted(path.name for path in built.iterdir())
    for path in again.iterdir():
        assert path.read_bytes() == (built / path.name).read_bytes()
        kept = next((time for old, time in before.items() if old.name == path.name), None)
        assert kept in (None, path.stat().st_mtime_ns)
    assert list(tmp_path.iterdir()) == [tmp_path / "catalogue"]


def test_other_settings_are_refused_in_a_sentence(built, settings):
    other = catalogue.Settings(examples=2, size=SIZE)
    data_dir = built.parent.parent
    assert catalogue.build(data_dir, settings) == built
    with pytest.raises(UserError, match="give --rebuild"):
        catalogue.build(data_dir, other)
    with pytest.raises(UserError, match="at least 1"):
        catalogue.build(data_dir, catalogue.Settings(examples=0))
    with pytest.raises(UserError, match="holds 0 pictures"):
        catalogue.build(data_dir, catalogue.Settings(grounds=str(built)))


def test_grounds_belong_to_one_split_and_fill_the_picture(places):
    generator, greys = np.random.default_rng(0), {}
    for split in ("train", "validation", "test"):
        found = [scenes.Grounds(places, split).sample(generator, SIZE) for _ in range(40)]
        assert all(ground.shape == (*SIZE, 3) and ground.dtype == np.float32 for ground in found)
        greys[split] = {round(255 * float(ground.mean())) for ground in found}
    assert greys["validation"] == {0} and greys["test"] == {25} and len(greys["train"]) == 8
    with pytest.raises(ValueError, match="no split"):
        scenes.Grounds(places, "holdout")


def test_people_are_filled_in_from_both_sides():
    photo = np.zeros((100, 80, 3), np.uint8)
    photo[:, :40], photo[:, 40:] = 50, 150
    photo[30:70, 30:50] = 255
    people = np.zeros((100, 80), bool)
    people[30:70, 30:50] = True
    filled = grounds.without_people(photo, people)
    assert filled.max() <= 150 and (filled[:15] == photo[:15]).all()
    assert filled[50, 28].mean() < 70 and filled[50, 52].mean() > 130
    assert grounds.without_people(photo, np.ones_like(people)) is None


def test_a_stance_is_read_in_the_persons_own_frame():
    """A figure that stands turned by 50 degrees, its left arm held out ahead."""
    at = np.zeros((33, 3))
    for (left, right), (x, y, z) in {
        (7, 8): (0.1, 0.7, 0), (11, 12): (0.2, 0.5, 0), (13, 14): (0.22, 0.25, 0), (15, 16): (0.24, 0.0, 0.0),
        (19, 20): (0.25, -0.08, 0.0), (23, 24): (0.1, 0, 0), (25, 26): (0.1, -0.4, 0.02), (27, 28): (0.1, -0.8, 0),
        (31, 32): (0.1, -0.85, 0.12),
    }.items():  # fmt: skip
        at[left], at[right] = (x, y, z), (-x, y, z)
    at[13], at[15], at[19] = (0.2, 0.5, 0.3), (0.2, 0.5, 0.6), (0.2, 0.5, 0.7)
    turn = np.deg2rad(50)
    turned = at @ np.array([[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]])
    found = stances.stance(turned * [1, -1, -1], np.ones(33))
    lies = dict(zip(poses.STANCE, found, strict=True))
    np.testing.assert_allclose(lies["upperarm_l"], [0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(lies["trunk"], [0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(lies["head"], [0, 0, 1], atol=1e-6)
    assert lies["calf_l"][2] < lies["thigh_l"][2]
    assert stances.stance(turned * [1, -1, -1], np.r_[np.zeros(12), np.ones(21)]) is None
    backwards = turned.copy()
    backwards[[25, 26]] -= 0.3 * (turned[31] - turned[27]) / np.linalg.norm(turned[31] - turned[27])  # knees bent ahead
    assert stances.stance(backwards * [1, -1, -1], np.ones(33)) is None
