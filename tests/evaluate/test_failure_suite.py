"""The failure suites: their cases show what they claim, and their measures know right from wrong."""

import types

import numpy as np
import pytest

from vton_jax.catalogue import failures
from vton_jax.core import keypoints, segmentation
from vton_jax.core.types import Garment, Layout, Pose, User
from vton_jax.evaluate import catalogue_steps, failure_suite, scores
from vton_jax.systems.options import ARM_NAMES

SIZE, COUNT = (128, 96), 4
PICTURED = ("sleeve_swap", "hem_swap", "arm_over_body", "back_view", "hair_over_garment")


@pytest.fixture(scope="module")
def all_cases():
    return failures.draw_failures(COUNT, SIZE, seed=0)


@pytest.fixture
def cases(all_cases):
    """The cases of one suite."""
    return lambda suite: {name: values[all_cases["suite"] == suite] for name, values in all_cases.items()}


def area(layouts, labels):
    return segmentation.region(layouts, labels).sum((1, 2))


def pictures(cases, name="output"):
    return cases[f"{name}_image"].astype(np.float32) / 255


def test_cases_do_not_depend_on_their_number_or_the_other_suites(all_cases, cases):
    again = failures.draw_failures(2, SIZE, seed=0, suites=("back_view",))
    for name, values in cases("back_view").items():
        np.testing.assert_array_equal(again[name], values[:2], err_msg=name)
    other = failures.draw_failures(1, SIZE, seed=1, suites=("back_view",))
    assert (other["output_image"] != again["output_image"][:1]).any()
    assert len(all_cases["suite"]) == COUNT * len(failures.SUITES) and all_cases["flat"].mean() == 0.5


def test_everything_else_is_calm(all_cases):
    front = ~np.isin(all_cases["suite"], ("back_view", "hair_over_garment"))
    assert np.abs(all_cases["yaw"][front]).max() < 0.3 and all_cases["turn"][front].max() < 0.6
    for name in ("input", "pose", "output"):
        assert (all_cases[f"{name}_image"][:, 0, 0] == 255).all()


def test_sleeves_change(cases):
    swap = cases("sleeve_swap")
    bare, before = (
        area(swap["output_segmentation"], segmentation.ARMS),
        area(swap["input_segmentation"], segmentation.ARMS),
    )
    for worn, donated, after, was in zip(*zip(*failures.SLEEVES, strict=True), bare, before, strict=True):
        assert after > 1.5 * was if donated < worn else was > 1.5 * after
    region, _ = failure_suite.regions("sleeve_swap", swap)
    arms = segmentation.region(swap["output_limb"], (2, 3, 4, 5))
    assert (region & ~arms).sum() == 0 and (region.sum((1, 2)) > 0.7 * arms.sum((1, 2))).all()
    # Hands are bare in long sleeves too, and left out: what is scored there is all sleeve.
    longest = np.array([donated for _, donated in failures.SLEEVES]) > 0.9
    cloth = segmentation.region(swap["output_segmentation"], segmentation.UPPER)
    assert cloth[longest][region[longest]].mean() > 0.95


def test_hems_move_and_the_band_lies_between_them(cases):
    swap = cases("hem_swap")
    region, _ = failure_suite.regions("hem_swap", swap)
    legs = area(swap["output_segmentation"], segmentation.LEGS) - area(swap["without_segmentation"], segmentation.LEGS)
    for index, ((worn, donated), _) in enumerate(failures.HEMS[:COUNT]):
        assert (legs[index] > 0) == (donated < worn) and region[index].sum() > 100
        knees = [keypoints.ID["left-knee"], keypoints.ID["right-knee"]]
        seen = swap["output_visible"][index, knees]  # a skirt hides them
        rows = np.flatnonzero(region[index].any(1))
        assert ((rows[0] < swap["output_keypoints"][index, knees, 1]) | ~seen).all()
        assert ((rows[-1] > swap["output_keypoints"][index, knees, 1]) | ~seen).all()


def test_prints_lie_on_the_chest(cases):
    lettering = cases("lettering")
    region = failure_suite.print_region(lettering)
    assert (region.sum((1, 2)) > 40).all()
    for index, box in enumerate(region):
        middle = np.argwhere(box).mean(0)[::-1]
        points = lettering["output_keypoints"][index]
        neck = points[keypoints.ID["neck"]]
        hips = points[[keypoints.ID["left-hip"], keypoints.ID["right-hip"]], 1].max()  # one may be hidden
        assert neck[1] < middle[1] < hips and abs(middle[0] - neck[0]) < 6


def test_arms_cross_the_body_and_hair_the_garment(cases):
    for suite, least in (("arm_over_body", 30), ("hair_over_garment", 300)):
        region, behind = failure_suite.regions(suite, cases(suite))
        assert (region.sum((1, 2)) > least).all() and not (region & ~behind).any()


def test_no_face_is_seen_from_behind(cases):
    back = cases("back_view")
    region, _ = failure_suite.regions("back_view", back)
    assert (region.sum((1, 2)) > 100).all() and (np.abs(back["yaw"]) > 2.5).all()
    face = [segmentation.region(back[f"{name}_segmentation"], segmentation.FACE)[region].mean()
            for name in ("output", "without")]  # fmt: skip
    assert face[0] < 0.02 and face[1] > 0.2


@pytest.mark.parametrize("suite", PICTURED)
def test_the_truth_scores_best_and_what_misses_the_difficulty_badly(cases, suite):
    own = cases(suite)
    layout = failure_suite.layout_scores(suite, own["output_segmentation"], own)
    picture = failure_suite.picture_scores(suite, pictures(own), own)
    assert layout.pop("face_share", 0) < 0.02
    assert set(layout.values()) == {1.0} and picture["right"] > 0.999 and picture["ssim"] > 0.999
    assert picture["psnr"] > 60
    missed = failure_suite.landmarks(suite, own)
    assert missed["without.right"] < 0.7 and missed["without.psnr"] < 20 and missed["without.layout_right"] < 0.7
    assert all(missed[f"without.{name}"] < 0.7 for name in failure_suite.OVERLAPS[suite])
    if suite == "back_view":
        assert missed["without.face_share"] > 0.2


def test_lettering_is_told_from_its_absence_and_from_other_lettering(cases):
    own = cases("lettering")
    assert failure_suite.correlations(pictures(own), own) == pytest.approx(1, abs=1e-3)
    shifted = np.roll(pictures(own), (1, -2), (1, 2))
    assert failure_suite.correlations(shifted, own).min() > 0.99
    mirrored = np.where(failure_suite.print_region(own)[..., None], pictures(own)[:, :, ::-1], pictures(own))
    assert failure_suite.correlations(mirrored, own).mean() < 0.8
    marks = failure_suite.landmarks("lettering", own)
    assert marks["without.correlation"] < 0.5 < marks["true_flow.correlation"]
    assert marks["without.correlation"] < marks["blurred.correlation"] < 0.95


def test_correlation_of_even_colours_is_zero():
    box = np.zeros((20, 20), bool)
    box[5:12, 4:15] = True
    truth = np.random.default_rng(0).random((20, 20, 3))
    assert failure_suite.correlation(np.full((20, 20, 3), 0.4), truth, box, 2) == 0
    assert failure_suite.correlation(1 - truth, truth, box, 0) == 0
    assert failure_suite.correlation(0.5 * truth + 0.2, truth, box, 0) == pytest.approx(1)


def test_overlap_counts_within():
    arm = segmentation.ID["left-arm"]
    truth, found = np.zeros((2, 1, 4, 4), np.uint8)
    truth[0, :2], found[0, 1:3] = arm, arm
    everywhere = np.ones(truth.shape, bool)
    assert failure_suite.overlap(found, truth, (arm,), everywhere) == pytest.approx(1 / 3)
    everywhere[0, 2:] = False
    assert failure_suite.overlap(found, truth, (arm,), everywhere) == 0.5
    assert np.isnan(failure_suite.overlap(found, truth, (arm,), ~everywhere & False))


class Oracle:
    """Stands in for `Lab126` and its parts: knows the truth's layouts, and paints the frame `shows`."""

    size = SIZE
    reader = layouts = painter = property(lambda self: self)

    def __init__(self, cases, shows):
        self.cases, self.shows = cases, shows

    def read_layouts(self, frames):
        count = len(frames)
        layout = Layout(np.zeros((count, *SIZE), np.uint8), np.zeros((count, 18, 2)), np.zeros((count, 18), bool))
        return layout, np.arange(count)[:, None]

    def read_garment(self, frame, garment_type=None, flat=None):
        layout = Layout(np.zeros(SIZE, np.uint8), np.zeros((18, 2)), np.zeros(18, bool))
        return Garment(frame / 255, layout, np.int32(0), np.bool_(flat))

    def coarse_pairs(self, users, donors, poses):
        return self.cases["without_segmentation"], {}

    def refined(self, coarse, users, garments, poses):
        return self.cases["output_segmentation"]

    def dress(self, users, garments, targets):
        return types.SimpleNamespace(image=pictures(self.cases, self.shows))


def test_the_suites_are_scored_arm_by_arm(all_cases, monkeypatch):
    monkeypatch.setattr(failures, "draw_failures", lambda count, size, seed: all_cases)
    systems = {arm: Oracle(all_cases, "output" if arm == "joint" else "without") for arm in ARM_NAMES}
    suite = failure_suite.FailureSuite(types.SimpleNamespace(num_failure_cases=COUNT, seed=0), systems)
    results, sheets, texts = dict(suite.run()), suite.pictures, suite.texts
    for suite in PICTURED:
        assert results[f"failures.{suite}.layout_right"] == 1 > results[f"failures.{suite}.coarse.layout_right"]
        assert results[f"failures.{suite}.joint.right"] > 0.999 > 0.7 > results[f"failures.{suite}.none.right"]
        assert results[f"failures.{suite}.pre.psnr"] == results[f"failures.{suite}.without.psnr"]
    assert results["failures.lettering.joint.correlation"] > 0.999 > results["failures.lettering.post.correlation"]
    assert len(sheets) == len(failures.SUITES) and all(sheet.dtype == np.uint8 for sheet in sheets.values())
    assert f"back_view {COUNT}" in texts["protocol"]["failures"]
    page = "".join(failure_suite.tables(results))
    assert "Back view" in page and "face_share" in page and "true_flow" in page


def test_differences_of_arms_are_paired_by_case():
    rng = np.random.default_rng(0)
    base = rng.normal(20, 5, 50)
    of_arms = {arm: {"psnr": base + (0.5 if arm == "joint" else 0) + rng.normal(0, 0.1, 50)} for arm in ARM_NAMES}
    found = scores.arm_differences("try_on", of_arms, 0)
    name = "try_on.joint_minus_none.psnr"
    assert found[name] == pytest.approx(0.5, abs=0.06)
    assert 0.4 < found[f"{name}.low"] < found[name] < found[f"{name}.high"] < 0.6
    assert not any("joint_minus_joint" in name for name in found)


class Walker(Oracle):
    """The same for a clip: paints the true clip, with noise of its own in every frame."""

    def __init__(self, truth, noise):
        self.truth, self.noise = truth, noise

    def read_user(self, frame):
        layout = Layout(np.zeros(SIZE, np.uint8), np.zeros((18, 2)), np.zeros(18, bool))
        return User(frame.astype(np.float32) / 255, layout, None, np.ones(SIZE, bool))

    def read_poses(self, frames):
        return Pose(*self.read_layouts(frames))

    def targets(self, user, garment, poses):
        return [types.SimpleNamespace(final=np.full(SIZE, i, np.uint8)) for i in range(len(poses.latent))]

    def paint(self, user, garment, targets):
        assert user.backdrop is not None
        rng = np.random.default_rng(0)
        for final in targets.segmentation:
            frame = self.truth[final[0, 0]] + self.noise * rng.random((*SIZE, 3), np.float32)
            shown = np.ones(frame.shape[:2])
            yield types.SimpleNamespace(image=np.clip(frame, 0, 1).astype(np.float32), labels=shown, photo_weight=shown)


def test_every_arm_flickers_against_the_truth():
    rng = np.random.default_rng(3)
    picture = (255 * rng.random((16, 12, 3))).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    truth = np.stack([np.roll(picture, step, 1) for step in range(4)])
    draw_walk = lambda index, count, size, seed: (picture, picture, truth, truth)  # noqa: E731
    systems = {arm: Walker(truth / np.float32(255), 0.001 if arm == "joint" else 0.3) for arm in ARM_NAMES}
    found = catalogue_steps.clip_scores(systems, draw_walk, 4, 0)
    own = {name.removeprefix("failures.flicker."): value for name, value in found.items() if "failures" in name}
    assert set(own) == {f"{name}.flicker" for name in ("truth", *ARM_NAMES)}
    assert own["joint.flicker"] < own["truth.flicker"] + 0.01 < 0.05 + own["truth.flicker"] < own["none.flicker"]
    assert found["clip.none.flicker"] == own["joint.flicker"] and found["clip.none.psnr"] > 50
