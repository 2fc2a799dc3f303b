"""The critic, a stand-in for the talk's user study: what it tells apart, what it cannot, and on whom it is tried."""

import functools

import numpy as np
import pytest
from cached_example import example

from vton_jax import systems
from vton_jax.core.errors import UserError
from vton_jax.core.types import Dressed
from vton_jax.evaluate import critic, critic_examples, critic_suite, report
from vton_jax.models import weights
from vton_jax.models.critic_cnn import CriticCNN

NETWORK = CriticCNN(widths=(16, 16))
COUNT, STEPS, BATCH = 300, 80, 16


def scenes(seed: int) -> np.ndarray:
    """Pictures [COUNT, 32, 32, 3] of blocks of 4 pixels in any colours: sharp edges everywhere."""
    blocks = np.random.default_rng(seed).integers(0, 256, (COUNT, 8, 8, 3))
    return blocks.repeat(4, 1).repeat(4, 2).astype(np.uint8)


def blurred(images: np.ndarray) -> np.ndarray:
    wide = np.pad(images.astype(np.float32), ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    return np.mean([wide[:, y : y + 32, x : x + 32] for y in range(5) for x in range(5)], 0).round().astype(np.uint8)


def logits_of(pictures: dict[str, np.ndarray], seed: int = 0) -> dict[str, np.ndarray]:
    """Logits of the second half, of a critic that has learnt from the first."""
    half = COUNT // 2
    discriminate = critic.train({kind: a[:half] for kind, a in pictures.items()}, seed, NETWORK, STEPS, BATCH)
    return {kind: discriminate(a[half:]) for kind, a in pictures.items()}


def test_plainly_different_pictures_are_told_apart_on_unseen_ones():
    logits = logits_of({"real": scenes(0), "none": blurred(scenes(0)), "post": blurred(scenes(1))})
    assert (logits["none"] > 0).mean() < 0.05 and (logits["post"] > 0).mean() < 0.05
    assert (logits["real"] > 0).mean() > 0.95


def test_what_is_alike_cannot_be_told_apart():
    logits = logits_of({"real": scenes(0), "none": scenes(1)})
    fooled, accurate = (logits["none"] > 0).mean(), (logits["real"] > 0).mean()
    assert abs(fooled - 0.5) < 0.25 and abs(fooled - accurate) < 0.15
    assert abs((accurate + 1 - fooled) / 2 - 0.5) < 0.08
    assert abs((logits["none"] > logits["real"]).mean() - 0.5) < 0.12


def test_an_arm_that_is_real_fools_the_critic_of_all_arms_more_than_one_that_is_not():
    logits = logits_of({"real": scenes(0), "none": blurred(scenes(0)), "joint": scenes(1)})
    results = critic.rates("1s", {kind: value[None] for kind, value in logits.items()})
    assert results["critic.none.fooling_1s"] < 0.1 < 0.25 < results["critic.joint.fooling_1s"]
    assert results["critic.joint_minus_none_1s.low"] > 0.1


def test_the_same_seed_gives_the_same_numbers():
    pictures = {"real": scenes(0)[:40], "none": scenes(1)[:40]}
    first, again, other = (critic.train(pictures, seed, NETWORK, 5, BATCH)(scenes(2)[:70]) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (70,) and (first != other).any()


def test_less_detail_is_the_mean_of_blocks():
    images = np.random.default_rng(0).integers(0, 256, (33, 8, 12, 3)).astype(np.uint8)
    small = critic.reduce_detail(images, 4)
    assert small.shape == (33, 2, 3, 3) and small.dtype == np.uint8
    assert abs(small[32, 1, 2, 0] - images[32, 4:, 8:, 0].mean()) <= 0.5
    assert critic.reduce_detail(images, 1) is images


def test_rates_and_intervals_are_those_of_known_logits():
    people = 400
    fooled = np.arange(people) % 4 == 0  # by `joint`; `none` fools nobody
    sign = lambda chosen: np.where(chosen, 1.0, -1.0)[None].repeat(3, 0)  # noqa: E731
    logits = {"real": sign(np.ones(people, bool)) * 2, "none": sign(np.zeros(people, bool)), "joint": sign(fooled)}
    logits["joint"][2] = -1  # one critic of three is never fooled
    results = critic.rates("5s", logits)
    assert results["critic.joint.fooling_5s"] == pytest.approx(0.25 * 2 / 3)
    assert results["critic.real_accuracy_5s"] == 1 and results["critic.none.fooling_5s.high"] == 0
    assert results["critic.joint.preferred_5s"] == 0  # each real frame looks more real yet
    # The mean of 400 values, a quarter of them 2/3: its standard error is known.
    error = 2 / 3 * np.sqrt(0.25 * 0.75 / people)
    for end, sigmas in (("low", -1.96), ("high", 1.96)):
        assert results[f"critic.joint.fooling_5s.{end}"] == pytest.approx(1 / 6 + sigmas * error, abs=0.2 * error)
        assert results[f"critic.joint_minus_none_5s.{end}"] == results[f"critic.joint.fooling_5s.{end}"]
    assert results["critic.joint.fooling_5s.over_seeds"] == pytest.approx(np.std([0.25, 0.25, 0]))


@pytest.fixture
def folder(tmp_path):
    for number in range(10):
        np.savez(tmp_path / f"{number:04d}.npz", **example(2, number))
    return tmp_path


def test_nobody_stands_on_both_sides(folder):
    examples, held_out = critic_examples.read_examples(folder, 1000)
    assert len(held_out) == 20 and held_out.sum() == 4
    digests = [[image.tobytes() for image in examples["input_image"][held_out == side]] for side in (False, True)]
    assert len(set(digests[0]) | set(digests[1])) == 20 and not set(digests[0]) & set(digests[1])
    for number in range(10):  # a file's people stay together
        assert len(set(held_out[2 * number : 2 * number + 2])) == 1
        np.testing.assert_array_equal(examples["guides"][2 * number], example(2, number)["guides"][0, 0, 1])
    fewer, held_out = critic_examples.read_examples(folder, 9)
    assert len(held_out) == 10 == len(fewer["guides"]) and held_out.sum() == 2


class Tiny:
    """Stands in for an arm of lab126: `joint` returns the photo of the user as it is, the others grey."""

    painter = property(lambda self: self)

    def __init__(self, options):
        self.arm = options.remap

    def dress(self, users, garments, targets):
        shape = targets.segmentation.shape
        assert garments.image.max() <= 1 and users.layout.segmentation.shape == shape
        assert targets.keypoints.shape == (*shape[:1], 18, 2) and users.layout.keypoints.max() == 0
        image = users.image if self.arm == "joint" else np.full_like(users.image, 0.5)
        return Dressed(image, *[None] * 6)


def test_the_suite_end_to_end(tmp_path, monkeypatch):
    for number in range(10):
        made = example(4, number)
        made["output_image"] = made["input_image"]  # so that `joint` is as real as can be
        made = {n: a.repeat(2, -3).repeat(2, -2) if n.endswith("_image") else a for n, a in made.items()}
        np.savez(tmp_path / f"{number:04d}.npz", **made)
    monkeypatch.setitem(systems.SYSTEMS, "lab126", Tiny)
    monkeypatch.setattr(critic_suite, "LEVELS", {"1s": 2, "5s": 1})
    monkeypatch.setattr(critic, "train", functools.partial(critic.train, batch=8))
    monkeypatch.setattr(critic, "_SEEN", 8)  # as many as are held out: parts are filled up
    monkeypatch.setattr(critic.critic_cnn, "CriticCNN", lambda: NETWORK)
    options = critic_suite.CriticSuite.Options(data=str(tmp_path), num_examples=1000)
    suite = critic_suite.CriticSuite(options, steps=40)
    results, sheets, texts = dict(suite.run()), suite.pictures, suite.texts
    assert results["num_examples"] == 40 and results["num_held_out"] == 8
    for level in ("1s", "5s"):
        assert results[f"critic.none.fooling_{level}"] == 0 == results[f"critic.pre.fooling_{level}.high"]
        assert results[f"critic.joint.fooling_{level}"] == results[f"critic.real_accuracy_{level}"] > 0.5
        assert results[f"critic.joint.preferred_{level}"] == 0  # equal is not preferred
    assert len(sheets) == 2 and "stand-in" in texts["protocol"]["suite"] and texts["protocol"]["split_hash"]
    released = {path.stem for path in weights.FOLDER.glob("*.safetensors")}
    assert {"triple_guided_cnn_joint", "re_map_cnn"} <= set(texts["about"]) <= released
    report.write(tmp_path, suite, results)
    text = (tmp_path / "report.html").read_text()
    assert "stand-in for the talk" in text and all(name in text for name in results)


def test_bad_folders_die_in_a_sentence(folder, tmp_path):
    with pytest.raises(UserError, match=r"vton_jax\.cache_examples --kind=layouts"):
        critic_examples.read_examples(tmp_path / "nothing", 10)
    with pytest.raises(UserError, match="has 2 files for the examples asked for; every 4th is held out"):
        critic_examples.read_examples(folder, 4)
    twice = {"output_image": example(2, 0)["output_image"]}
    np.savez(folder / "0003.npz", **example(2, 3) | twice)
    with pytest.raises(UserError, match="shows the same photos in several files"):
        critic_examples.read_examples(folder, 10)
    (folder / "0001.npz").write_bytes(b"cut off")
    with pytest.raises(UserError, match=r"0001\.npz is damaged"):
        critic_examples.read_examples(folder, 10)
    np.savez(folder / "0001.npz", z_user=np.zeros((2, 2, 3)))
    with pytest.raises(UserError, match=r"0001\.npz lacks input_image"):
        critic_examples.read_examples(folder, 10)


def test_the_command_dies_in_a_sentence_and_leaves_nothing(command, capsys, tmp_path):
    arguments = ("--suite=critic", f"--data={tmp_path}", f"--output={tmp_path / 'out'}")
    with pytest.raises(SystemExit) as stopped:
        command("vton_jax.evaluate.__main__", *arguments)
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and len(said.strip().splitlines()) == 1, said
    assert "vton_jax.cache_examples" in said and not list(tmp_path.glob("out/*"))
