"""The evaluation's own parts, on cases whose scores are known."""

import numpy as np
import pytest

from vton_jax.core import keypoints, segmentation
from vton_jax.core.errors import UserError
from vton_jax.core.types import Garment, Layout
from vton_jax.evaluate import catalogue_steps, report, scores
from vton_jax.evaluate.catalogue_suite import CatalogueSuite


def layout(shift: int = 0) -> Layout:
    """A block of a dress with a torso's joints, `shift` pixels to the right."""
    labels = np.zeros((64, 48), np.uint8)
    labels[20:40, 12 + shift : 24 + shift] = segmentation.ID["dress"]
    points, visible = np.zeros((18, 2), np.float32), np.zeros(18, bool)
    for name, place in {
        "left-shoulder": (23, 20),
        "right-shoulder": (12, 20),
        "left-hip": (22, 40),
        "right-hip": (13, 40),
    }.items():
        points[keypoints.ID[name]] = (place[0] + shift, place[1])
        visible[keypoints.ID[name]] = True
    return Layout(labels, points, visible)


def donor() -> Garment:
    worn = layout()
    image = np.where((worn.segmentation > 0)[..., None], 0.25, 1.0).astype(np.float32) * np.ones(3, np.float32)
    return Garment(image=image, layout=worn, garment_type=np.int32(2), flat=np.bool_(False))


def test_paste_moves_the_dress_with_the_joints():
    target = layout(10)
    pasted = scores.paste(np.full((64, 48, 3), 255, np.uint8), target, donor())
    np.testing.assert_allclose(pasted[25:35, 25:31], 0.25, atol=0.02)
    assert (pasted[25:35, :20] > 0.98).all()


def test_paste_without_common_joints_is_the_pose_image():
    image = np.random.default_rng(0).integers(0, 255, (64, 48, 3)).astype(np.uint8)
    blind = layout().replace(visible=np.zeros(18, bool))
    np.testing.assert_allclose(scores.paste(image, blind, donor()), image / 255, atol=1e-6)


def test_the_truth_itself_scores_best():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 255, (2, 64, 48, 3)).astype(np.uint8)
    mask = np.zeros((2, 64, 48), bool)
    mask[:, 20:40, 10:30] = True
    cases = {"output_image": truth, "garment_mask": mask}
    exact = scores.picture_scores("x", truth.astype(np.float32) / 255, cases)
    assert exact["x.ssim"] > 0.9999 and exact["x.ssim_garment"] > 0.9999
    spoiled = truth.astype(np.float32) / 255
    spoiled[:, 20:40, 10:30] = 0.5
    worse = scores.picture_scores("x", spoiled, cases)
    assert worse["x.ssim"] < 0.95 and worse["x.psnr_garment"] < worse["x.psnr"]


def test_prints_are_alike_or_not_whatever_the_cloths_brightness():
    rng = np.random.default_rng(2)
    garment = np.zeros((64, 48), bool)
    garment[10:50, 8:40] = True
    stripes = (50 + 20 * (np.arange(64) // 3 % 2)[:, None] + rng.normal(0, 0.1, (64, 48))).astype(np.float32)
    across = (50 + 20 * (np.arange(48) // 3 % 2) + 0 * stripes).astype(np.float32)
    correlation = scores.print_correlation
    assert correlation(stripes - 30, stripes, garment) > 0.999
    assert correlation(-stripes, stripes, garment) < -0.999
    assert abs(correlation(across, stripes, garment)) < 0.1
    assert correlation(np.full_like(stripes, 50), stripes, garment) == 0
    assert np.isnan(correlation(stripes, np.full_like(stripes, 50), garment))  # there is no print
    assert np.isnan(correlation(stripes, stripes, garment & False))


def test_where_pictures_differ_beside_the_garment_they_are_alike_alone():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 255, (2, 64, 48, 3)).astype(np.uint8)
    mask = np.zeros((2, 64, 48), bool)
    mask[:, 20:40, 10:30] = True
    image = truth.astype(np.float32) / 255
    image[:, 50:] = 0
    distance = lambda a, b: {"lpips": np.abs(a - b).mean((1, 2, 3))}  # noqa: E731
    found = catalogue_steps._seen_scores(image, {"output_image": truth, "garment_mask": mask}, distance)
    assert (found["lpips"] > 0.05).all() and (found["lpips_garment"] == 0).all()
    assert found["print_correlation"].min() > 0.999


def test_a_case_whose_garment_is_not_found_is_left_out():
    class Reader:
        def read_garment(self, frame, kind, flat):
            if not frame.any():
                raise UserError("No garment of this type was found.")
            return donor()

    frames = np.stack([np.full((8, 6, 3), shade, np.uint8) for shade in (9, 0, 7)])
    cases = {"donor_image": frames, "garment_type": np.zeros(3, int), "flat": np.zeros(3, bool)}
    garments, chosen = catalogue_steps.read_garments(Reader(), cases)
    assert chosen.tolist() == [0, 2] and len(garments.image) == 2
    (rest,) = catalogue_steps.only(chosen, cases)
    assert rest["donor_image"][:, 0, 0, 0].tolist() == [9, 7] and len(rest["flat"]) == 2
    with pytest.raises(UserError, match="in any case"):
        catalogue_steps.read_garments(Reader(), cases | {"donor_image": 0 * frames})


def test_flow_errors_are_given_at_128x96_and_where_visible():
    flow = np.zeros((2, 256, 192, 2), np.float32)
    visible = np.zeros((2, 256, 192), bool)
    visible[0, :10], visible[1, :10] = True, True
    truth = flow.copy()
    truth[0, :10] += (6, 8)
    truth[:, 100:] = 99  # not visible
    cases = {"flow": truth, "flow_visible": visible}
    assert scores.flow_error(flow, cases) == 2.5
    assert scores.flow_error(flow, cases, np.array([True, False])) == 5


def test_the_report_names_every_number(tmp_path):
    arms = ("none", "post", "pre", "joint", "pose_image", "paste")
    results = {f"try_on.{a}.{m}": 0.5 for a in arms for m in ("ssim", "psnr", "ssim_garment", "psnr_garment")}
    results["remap.epe"] = 1.25
    sheet = np.zeros((8, 8, 3), np.uint8)
    suite = CatalogueSuite(CatalogueSuite.Options())
    suite.texts["cases"], suite.pictures["A sheet"] = {"yaw": "front 3"}, sheet
    report.write(tmp_path, suite, results)
    text = (tmp_path / "report.html").read_text()
    assert all(name in text for name in results) and "front 3" in text and "data:image/png" in text
    assert text.count("<td>joint<td>0.5000") == 1 and (tmp_path / "a_sheet.png").exists()
    assert not list(tmp_path.glob(".*"))
