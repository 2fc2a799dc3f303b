"""Who judges fillings, and the suite from end to end with untrained networks."""

import numpy as np
import pytest
from finet_people import SIZE, people, person, write_weights
from stand_ins import Distances

from vton_jax.core.segmentation import ID
from vton_jax.core.types import Layout
from vton_jax.evaluate import critic, finet_cases, finet_judge, perceptual
from vton_jax.evaluate.finet_suite import FinetSuite
from vton_jax.inputs import outfits
from vton_jax.layout import inpainting
from vton_jax.systems.finet.protocol import Samples


def test_the_judge_learns_what_goes_where():
    """Styles that each have a brightness of their own: its own garments keep the rules, those of another style not."""
    generator = np.random.default_rng(0)
    style = np.arange(240) % 3
    found = generator.normal(0, 0.1, (240, 5)).astype(np.float32)
    found[:, 2] += style
    judge = finet_judge.train(found, style, 3)
    fresh = np.zeros((3, 5), np.float32)
    fresh[:, 2] = np.arange(3)
    assert judge.keeps(list(fresh), np.arange(3)).all()
    assert not judge.keeps(list(fresh), np.array([2, 0, 1])).any()
    assert not judge.keeps([None, fresh[0]], np.array([0, 1])).any()
    np.testing.assert_allclose(judge.styles(fresh).sum(1), 1, rtol=1e-5)


def test_filled_outfits_are_told_from_true_ones_where_they_differ(monkeypatch):
    """By a garment that does not go with what is beside it; never by one that is drawn as the true ones are."""
    monkeypatch.setattr(finet_judge, "_STEPS", 250)
    generator = np.random.default_rng(0)
    context = generator.normal(0, 1, (64, 3)).astype(np.float32)
    matching = lambda *count: context[:, None] + generator.normal(0, 0.2, (64, *count, 3))  # noqa: E731
    others = finet_cases._rolled(context, finet_judge.FOLDS, 2)[:, None] + generator.normal(0, 0.2, (64, 3, 3))
    outfits_of = lambda garments: np.concatenate([np.broadcast_to(context[:, None], garments.shape), garments], 2)  # noqa: E731
    true = outfits_of(matching(1)).astype(np.float32)[:, 0]
    alike, exchanged = (
        finet_judge.told_apart(true, outfits_of(garments).astype(np.float32)).mean()
        for garments in (matching(3), others)
    )
    assert abs(alike - 0.5) < 0.1 and exchanged > 0.75
    # Garments that go with nothing are not told from those exchanged within a group: nobody has learned either.
    free = generator.normal(0, 1, (64, 3)).astype(np.float32)
    rolled = np.stack([finet_cases._rolled(free, finet_judge.FOLDS, turn) for turn in (1, 2, 3)], 1)
    true = outfits_of(free[:, None]).astype(np.float32)[:, 0]
    assert abs(finet_judge.told_apart(true, outfits_of(rolled).astype(np.float32)).mean() - 0.5) < 0.08


def test_features_say_what_colour_and_how_long():
    one = person()
    args = one["keypoints"], one["visible"]
    classes = finet_cases._with_classes({name: array[None] for name, array in one.items()})["classes"][0]
    image = one["image"] / np.float32(255)
    found = finet_judge.features(image, classes, *args, "top")
    np.testing.assert_allclose(found[:3], np.median(image[classes == inpainting.TOP], 0), rtol=1e-5)
    bare = np.where((classes == inpainting.TOP) & (np.abs(np.arange(SIZE[1]) - 24) > 7), inpainting.ARMS, classes)
    shorter = finet_judge.features(image, bare, *args, "top")
    assert shorter[-8:].sum() < found[-8:].sum()  # of the sleeves
    assert finet_judge.features(image, classes, *args, "hat") is None


def test_a_pair_exchanges_one_garment_and_keeps_the_rest():
    ((user, donor, region),) = finet_cases._pairs((64, 48), 1)
    assert region in ("top", "bottom") and user["image"].shape == donor["image"].shape == (64, 48, 3)
    worn = inpainting.REGIONS.index(region)
    assert all(inpainting.garment(one["classes"], worn).sum() > 20 for one in (user, donor))


class _Sure:
    """A judge of two styles who is quite sure of each feature's sign, and not of 0."""

    @staticmethod
    def styles(found):
        first = np.where(found[:, 0] == 0, 0.5, found[:, 0] > 0)
        return np.stack([first, 1 - first], 1)


def test_surprise_is_the_divergence_of_the_inception_score(monkeypatch):
    """Fillings of two styles, each told surely: a score of 2; all of one, or none told: 1."""
    monkeypatch.setattr(finet_cases, "_samples_features", lambda case, samples, region: samples)
    of = lambda *values: [None if value is None else np.float32([value]) for value in values]  # noqa: E731

    def score(*samples):
        return np.exp(finet_cases.surprise({"top": _Sure}, [{}] * len(samples), {"top": samples}).mean())

    assert score(of(1, -1), of(-1, 1)) == pytest.approx(2, abs=1e-5)
    assert score(of(1, 1), of(1, 1)) == pytest.approx(1, abs=1e-5)
    assert score(of(0, 0), of(0, 0)) == pytest.approx(1, abs=1e-5)
    assert score(of(1, -1), of(None, None)) == pytest.approx(
        np.sqrt(2), abs=1e-5
    )  # nothing was filled in: nothing told


class _Reader:
    """Stands in for PictureReader: sees a top wherever a picture is magenta, and else nothing."""

    @staticmethod
    def layouts(frames):
        shown = (frames[..., 0] > 200) & (frames[..., 1] < 50) & (frames[..., 2] > 200)
        return Layout(np.where(shown, np.uint8(ID["upper-clothes"]), np.uint8(0)), None, None)


def test_classes_are_those_that_are_seen_in_the_filled_region_alone():
    one = person()
    case = finet_cases._separate([one])[0]
    mask = np.zeros(SIZE, bool)
    mask[20:30, 10:30] = True
    frames = np.repeat(one["image"][None] / np.float32(255), 2, 0)
    frames[0, 20:30, 10:20] = frames[:, 40:50] = 1, 0, 1  # of the second sample nothing; and beyond the region
    samples = Samples(one["image"][None], frames, np.repeat(case["classes"][None], 2, 0), mask)
    (found,) = finet_cases.as_read(_Reader, [case], {"a": [samples]})["a"]
    top = inpainting.CLASSES.index("top")
    assert (found.classes[0][22:28, 12:18] == top).all() and not (found.classes[1][mask] == top).any()
    assert (found.classes[:, ~mask] == case["classes"][~mask]).all()


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Rectangles for people, a folder of them for the judge, untrained networks."""
    write_weights(tmp_path / "weights")
    (tmp_path / "data").mkdir()
    for number in (0, 1, 19):
        np.savez(tmp_path / "data" / f"{number:04d}.npz", **people(6))
    monkeypatch.setattr(outfits, "draw", lambda number, split, free: person(number))
    pairs = lambda size, count: [(*finet_cases._separate([person(n), person(n + 1)]), "top") for n in range(count)]  # noqa: E731
    monkeypatch.setattr(finet_cases, "_pairs", pairs)
    monkeypatch.setattr(perceptual, "open_distances", lambda asked: Distances())
    monkeypatch.setattr(finet_judge, "_STEPS", 100)  # they need not be right
    monkeypatch.setattr(finet_cases, "as_read", lambda reader, cases, found: found)
    logits_of = critic.logits_of
    monkeypatch.setattr(critic, "logits_of", lambda pictures, held_out, seeds: logits_of(pictures, held_out, seeds, 2))
    return tmp_path


def test_the_suite_from_end_to_end(small):
    options = FinetSuite.Options(data=str(small / "data"), weights=str(small / "weights"), num_cases=2, num_samples=2,
                                 critic_people=8)  # fmt: skip
    suite = FinetSuite(options)
    found = dict(suite.run())
    wanted = {"finet.rule_keeping_gain", "finet.diversity_kept", "finet.transfer.lpips", "finet.transfer.best_sample",
              "finet.full.rule_keeping.with", "finet.judge.random_outfits_keep"}  # fmt: skip
    assert wanted < set(found) and found["num_cases"] == 4
    gain = found["finet.full.rule_keeping.with"] - found["finet.full.rule_keeping.without"]
    np.testing.assert_allclose(found["finet.rule_keeping_gain"], gain, atol=1e-6)
    kept = found["finet.full.diversity.with"] / found["finet.full.diversity.without"]
    np.testing.assert_allclose(found["finet.diversity_kept"], kept, rtol=1e-6)
    assert 1 <= found["finet.full.style_score.with"] <= 6
    assert all(0 <= found[f"finet.full.told_from_true.{prior}"] <= 1 for prior in ("with", "without", "exchanged"))
    rates = [found[f"finet.full.{name}_{level}"] for name in ("fooling", "real_accuracy") for level in ("1s", "2s")]
    assert all(0 <= rate <= 1 for rate in rates)
    assert found["finet.transfer.best_sample"] <= found["finet.transfer.mean_sample"]
    assert len(suite.pictures) == 2 and "split_hash" in suite.texts["protocol"]
    assert "finet.rule_keeping_gain" in "".join(suite.sections(found))
