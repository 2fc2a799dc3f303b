"""The suite `clothflow` on tiny networks, and people that are read without an error."""

import jax
import numpy as np
import pytest
import tiny_clothflow
from stand_ins import Distances
from tiny_clothflow import SIZE

from vton_jax.core import label_tables, segmentation
from vton_jax.core.errors import UserError, WrongOption
from vton_jax.core.framing import to_float
from vton_jax.core.types import Garment, Layout, Pose, User
from vton_jax.evaluate import clothflow_steps, clothflow_suite, metrics, perceptual
from vton_jax.systems.clothflow import system, variants
from vton_jax.systems.options import ARM_NAMES


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_clothflow.write(tmp_path_factory.mktemp("weights"), "full")


@pytest.fixture(scope="module")
def cases():
    return clothflow_steps.draw_cases(3, "validation", SIZE)


class TrueReader:
    """Knows the cases by their pixels; one of them it does not find."""

    size, cases, lost = SIZE, None, 2

    def _layout(self, shot, frame):
        (index,) = (i for i, one in enumerate(self.cases[f"{shot}_image"]) if np.array_equal(one, frame))
        return index, Layout(
            *(self.cases[f"{shot}_{part}"][index] for part in ("segmentation", "keypoints", "visible"))
        )

    def read_user(self, frame, shown=None):
        index, layout = self._layout("input", frame)
        if index == self.lost:
            raise UserError("Nobody.")
        return User(to_float(frame), layout, np.zeros(2, np.float32), np.ones(SIZE, bool))

    def read_garment(self, frame, kind, flat, mask=None):
        del mask
        index, layout = self._layout("donor", frame)
        return Garment(
            to_float(self.cases["dress_image"][index]), layout, np.int32(segmentation.GARMENT_TYPES.index(kind)),
            np.bool_(flat),
        )  # fmt: skip

    def read_poses(self, frames):
        layout = self._layout("pose", frames[0])[1]
        return Pose(jax.tree.map(lambda a: a[None], layout), np.zeros((1, 2), np.float32))


@pytest.fixture
def suite(monkeypatch, folder, cases):
    monkeypatch.setattr(TrueReader, "cases", cases)
    monkeypatch.setattr(system, "Reader", TrueReader)
    monkeypatch.setattr(perceptual, "open_distances", lambda asked: Distances())
    monkeypatch.setattr(clothflow_steps, "draw_cases", lambda count, split, size: cases)
    return lambda **options: clothflow_suite.ClothFlowSuite(
        clothflow_suite.ClothFlowSuite.Options(weights=str(folder), num_cases=3, **options)
    )


def test_cases_are_of_different_users_half_of_them_with_a_flat_garment(cases):
    assert cases["input_image"].shape == (3, *SIZE, 3) and cases["flow"].shape == (3, *SIZE, 2)
    assert not cases["donor_flat"][::2].any()
    assert len({image.tobytes() for image in cases["input_image"]}) == 3


def test_the_suite_scores_flows_layouts_and_pictures(suite, cases):
    one = suite(variants="full,tps")
    results = dict(one.run())
    errors = []
    for flow, visible in zip(cases["flow"], cases["flow_visible"], strict=True):
        pixels = [np.hypot(*flow[y, x]) * 2 for y, x in np.argwhere(visible)]  # at 128x96 twice as many
        errors.append(np.mean(pixels) if pixels else np.nan)
    assert results["clothflow.zero_flow.epe"] == pytest.approx(np.nanmean(errors), rel=1e-4)
    assert results["clothflow.left_out"] == 1 and results["clothflow.num_cases"] == 3
    for name in ("full", "tps"):
        for score in ("epe", "try_on_epe", "lpips", "ssim", "ssim_garment"):
            low, value, high = (results[f"clothflow.{name}.{score}{end}"] for end in (".low", "", ".high"))
            assert low <= value <= high
    assert results["clothflow.epe"] == results["clothflow.full.epe"]
    assert results["clothflow.lpips"] == results["clothflow.full.lpips"]
    gap = results["clothflow.full.epe"] - results["clothflow.tps.epe"]
    assert results["clothflow.full_minus_tps.epe"] == pytest.approx(gap, rel=1e-4)
    assert 0 <= results["clothflow.layout_miou_true_pose"] <= 1
    assert 0 <= results["clothflow.layout_miou.low"] <= results["clothflow.layout_miou"] <= 1
    assert "share that of full" in one.texts["about"]["stage 3"] and one.pictures["ClothFlow"].ndim == 3
    flows, pictures = one.sections(results)
    assert "tps" in flows and "EPE" in flows and "tps" in pictures and "SSIM garment" in pictures


def test_poses_are_shown_by_somebody_else(cases):
    """A variant without layouts takes a pose picture's outlines for its own, and the truth's would be a gift."""
    for index in range(3):
        theirs, truth = (cases[f"{shot}_segmentation"][index] for shot in ("pose", "output"))
        assert (theirs != truth).mean() > 0.02
        both = cases["pose_visible"][index] & cases["output_visible"][index]
        apart = np.abs(cases["pose_keypoints"][index] - cases["output_keypoints"][index])[both]
        assert np.median(apart) < 0.1 * SIZE[0]


def test_other_systems_dress_the_same_people(suite, monkeypatch):
    """Of a system that leaves cases out, the others' scores count."""
    asked = []

    def other(one):
        asked.append(one.kind)
        return 0.98 * to_float(one.case["output_image"]) if len(asked) > 1 else None

    monkeypatch.setattr(clothflow_steps, "open_others", lambda names: dict.fromkeys(names, other))
    one = suite(variants="full", system="clothflow,finet")
    results = dict(one.run())
    assert len(asked) == 2 and results["clothflow.finet.ssim"] > 0.99
    assert np.isfinite(results["clothflow.full_minus_finet.lpips"])
    assert "finet" in one.sections(results)[1]


def test_which_other_systems_are_asked():
    arms = tuple(f"lab126_{arm}" for arm in ARM_NAMES)
    assert clothflow_suite.other_systems("clothflow") == ()
    assert clothflow_suite.other_systems("all") == (*arms, "finet")
    assert clothflow_suite.other_systems("lab126,lab126_post") == arms
    with pytest.raises(WrongOption, match="names vogue; known are clothflow, all"):
        clothflow_suite.other_systems("clothflow,vogue")


def test_the_layouts_score_is_that_of_all_pixels_together(cases):
    layouts = np.roll(cases["output_segmentation"], 2, 2)
    made = clothflow_steps.Made(cases, layouts, cases["output_segmentation"], {}, {})
    total = metrics.SegmentationScore()
    total.add(layouts, cases["output_segmentation"])
    found = clothflow_steps.layout_scores(made, 0)
    assert found["clothflow.layout_miou"] == pytest.approx(total.miou)
    assert found["clothflow.layout_miou_true_pose"] == pytest.approx(1)
    assert set(found) > {f"clothflow.layout_iou.{name}" for name in label_tables.MERGED_LABELS}


def test_which_variants_are_scored(suite, folder):
    assert clothflow_suite.chosen_variants(suite(variants="trained").options) == ["full", "no_flow", "tps", "no_style"]
    assert clothflow_suite.chosen_variants(suite(variants="all").options) == list(variants.VARIANTS)
    assert tuple(variants.VARIANTS) == clothflow_suite.VARIANT_NAMES
    with pytest.raises(WrongOption, match="names half; known are full"):
        next(suite(variants="full,half").run())
    with pytest.raises(UserError, match="do not exist; train them"):
        next(suite(variants="all").run())
