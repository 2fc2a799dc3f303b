"""The suite `ccp`, parts `backward` and `self`: disturbed layouts, reconciled maps, fractions, hidden clothes."""

import json
import types

import cv2
import numpy as np
import pytest
from stand_ins import Distances

from vton_jax import systems
from vton_jax.core import keypoints, label_tables, segmentation
from vton_jax.core.errors import UserError
from vton_jax.core.types import Garment, Layout, Pose, Target, User
from vton_jax.evaluate import ccp_layouts, perceptual, report, scores
from vton_jax.evaluate.ccp_layouts import PARTS, Disturbance
from vton_jax.evaluate.ccp_suite import CcpSuite
from vton_jax.layout import completion
from vton_jax.systems.options import ARM_NAMES

ID, UNKNOWN = segmentation.ID, segmentation.UNKNOWN
SIZE = (192, 128)
STANDING = {
    "nose": (64, 20), "neck": (64, 38), "right-shoulder": (50, 40), "right-elbow": (38, 62), "right-wrist": (30, 82),
    "left-shoulder": (78, 40), "left-elbow": (90, 62), "left-wrist": (98, 82), "right-hip": (56, 86),
    "right-knee": (52, 125), "right-ankle": (50, 165), "left-hip": (72, 86), "left-knee": (76, 125),
    "left-ankle": (78, 165),
}  # fmt: skip


def standing():
    points, visible = np.zeros((18, 2), np.float32), np.zeros(18, bool)
    for name, at in STANDING.items():
        points[keypoints.ID[name]], visible[keypoints.ID[name]] = at, True
    return points, visible


def strokes(labels, value, *limbs, width):
    for first, second in limbs:
        cv2.line(labels, STANDING[first], STANDING[second], value, width)


def dressed(lower="pants"):
    """Labels [192, 128] of a person in a long-sleeved shirt, and trousers or a skirt."""
    labels = np.zeros(SIZE, np.uint8)
    cv2.circle(labels, STANDING["nose"], 11, ID["face"], -1)
    for side in ("right", "left"):
        strokes(labels, ID[f"{side}-leg"], (f"{side}-hip", f"{side}-knee"), (f"{side}-knee", f"{side}-ankle"), width=8)
    if lower == "pants":
        for side in ("right", "left"):
            limbs = (f"{side}-hip", f"{side}-knee"), (f"{side}-knee", f"{side}-ankle")
            strokes(labels, ID["pants"], *limbs, width=13)
    else:
        cv2.fillPoly(labels, [np.array([(50, 84), (78, 84), (88, 130), (40, 130)])], ID["skirt"])
    labels[38:88, 50:79] = ID["upper-clothes"]
    for side in ("right", "left"):
        limbs = (f"{side}-shoulder", f"{side}-elbow"), (f"{side}-elbow", f"{side}-wrist")
        strokes(labels, ID["upper-clothes"], *limbs, width=9)
    return labels


def still():
    return np.tile(np.eye(2, 3), (len(PARTS), 1, 1))


def moved(part, x, y):
    matrices = still()
    matrices[PARTS.index(part), :, 2] = x, y
    return matrices


# --- disturbed layouts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "part"),
    [
        ((64, 60), "trunk"), ((33, 74), "right-arm"), ((95, 74), "left-arm"), ((52, 125), "right-leg"),
        ((78, 160), "left-leg"),
    ],
)  # fmt: skip
def test_garments_go_with_the_nearest_part(place, part):
    parts = ccp_layouts.garment_parts(dressed(), *standing())
    assert parts[place[1], place[0]] == PARTS.index(part)


def test_parts_cover_the_garment_and_nothing_else():
    for lower in ("pants", "skirt"):
        labels = dressed(lower)
        parts = ccp_layouts.garment_parts(labels, *standing())
        np.testing.assert_array_equal(parts >= 0, segmentation.region(labels, segmentation.GARMENTS))
    assert (parts[labels == ID["skirt"]] == PARTS.index("trunk")).all()  # no leg tears it apart


def test_without_a_disturbance_the_coarse_map_is_the_truth():
    labels, still_now = dressed(), Disturbance(0, 1, 0)
    matrices = ccp_layouts.similarities(*standing(), SIZE, still_now, 0)
    np.testing.assert_allclose(matrices, still(), atol=1e-6)
    parts = ccp_layouts.garment_parts(labels, *standing())
    np.testing.assert_array_equal(ccp_layouts.disturb(labels, parts, still()), labels)


def test_a_part_takes_its_labels_along_and_leaves_the_unknown_behind():
    labels = dressed()
    parts = ccp_layouts.garment_parts(labels, *standing())
    coarse = ccp_layouts.disturb(labels, parts, moved("left-leg", 5, -3))
    leg = parts == PARTS.index("left-leg")
    there, carried = np.zeros_like(leg), np.zeros_like(labels)
    there[:-3, 5:], carried[:-3, 5:] = leg[3:, :-5], labels[3:, :-5]
    over = there & ~(parts > PARTS.index("left-leg"))  # trunk and arms lie over legs
    assert over.sum() > 0.9 * leg.sum()
    np.testing.assert_array_equal(coarse[over], carried[over])
    np.testing.assert_array_equal(coarse == UNKNOWN, leg & ~there)
    untouched = ~leg & ~there
    np.testing.assert_array_equal(coarse[untouched], labels[untouched])


def test_similarities_are_a_function_of_the_seed_and_stay_in_bounds():
    disturbance = Disturbance(angle=8, scale=1.1, shift=0.02)
    draw = lambda seed: ccp_layouts.similarities(*standing(), SIZE, disturbance, seed)  # noqa: E731
    np.testing.assert_array_equal(draw([0, 13]), draw([0, 13]))
    assert not np.allclose(draw([0, 13]), draw([0, 23])) and not np.allclose(draw([0, 13]), draw([1, 13]))
    many = np.concatenate([draw(seed) for seed in range(40)])
    scale = np.hypot(many[:, 0, 0], many[:, 1, 0])
    angle = np.rad2deg(np.arctan2(many[:, 1, 0], many[:, 0, 0]))
    assert 1.05 < scale.max() <= 1.1 and 1 / 1.1 <= scale.min() < 0.95
    assert 6 < np.abs(angle).max() <= 8
    hip = np.array(STANDING["left-hip"])
    legs = many.reshape(40, len(PARTS), 2, 3)[:, PARTS.index("left-leg")]
    off = np.abs(legs[..., :2] @ hip + legs[..., 2] - hip).max()
    assert 1 < off < 0.02 * 1.3 * SIZE[0]  # joints move by the shift alone


# --- reconciling -----------------------------------------------------------------------------------------------------


def certain(labels, confidence=0.9):
    known = np.full((*labels.shape, segmentation.NUM_LABELS), (1 - confidence) / (segmentation.NUM_LABELS - 1))
    np.put_along_axis(known, labels[..., None].astype(int), confidence, -1)
    return known.astype(np.float32)


def holed():
    """A truth and a coarse map of it, in which the right shin and its surroundings are unknown."""
    labels = dressed()
    coarse = labels.copy()
    coarse[130:172, 36:63] = UNKNOWN
    return labels, coarse


def accuracy(labels, truth, where):
    return (labels == truth)[where].mean()


def test_a_decoder_that_knows_better_than_the_nearest_label_fills_the_hole():
    truth, coarse = holed()
    found, hole = completion.reconcile(coarse, certain(truth, 0.99)), coarse == UNKNOWN
    np.testing.assert_array_equal(found[~hole], coarse[~hole])
    assert accuracy(found, truth, hole) > 0.95 > 0.9 > accuracy(completion.fill_unknown(coarse), truth, hole)


def test_a_decoder_that_knows_nothing_leaves_no_hole():
    truth, coarse = holed()
    blind = np.full((*SIZE, segmentation.NUM_LABELS), 1 / segmentation.NUM_LABELS, np.float32)
    found = completion.reconcile(coarse, blind)
    assert set(np.unique(found)) <= set(np.unique(truth))


def test_what_a_decoder_calls_by_another_name_is_not_copied():
    """It says skirt for trousers throughout, and no skirt is known anywhere."""
    truth, coarse = holed()
    confused = np.where(truth == ID["pants"], ID["skirt"], truth)
    found = completion.reconcile(coarse, certain(confused, 0.99))
    assert (coarse == UNKNOWN).any() and (found != ID["skirt"]).all()


def test_where_nothing_is_known_the_decoder_decides():
    truth = dressed()
    np.testing.assert_array_equal(completion.reconcile(np.full(SIZE, UNKNOWN, np.uint8), certain(truth)), truth)


# --- fractions -------------------------------------------------------------------------------------------------------


def test_fractions_and_their_intervals():
    values = np.linspace(0.4, 0.8, 100)
    others = np.where(np.arange(100) < 80, values - 0.1, values)  # 20 are as good: not better
    found = scores.fraction_improved("improved", values, others)
    assert found["improved"] == 0.8
    # Wilson's interval of 80 of 100, as in any table.
    assert found["improved_low"] == pytest.approx(0.7112, abs=1e-3)
    assert found["improved_high"] == pytest.approx(0.8666, abs=1e-3)
    low, high = scores.wilson(20, 20)
    assert 0.8 < low < 0.85 and high == pytest.approx(1)


# --- the parts, with networks whose answers are known ----------------------------------------------------------------


class Known:
    """Stands in for lab126 and its parts: sees STANDING everywhere; its decoder knows the truth, or says background."""

    size = SIZE
    right = True
    reader = layouts = painter = property(lambda self: self)

    def __init__(self, options):
        self.arm = options.remap

    def read_people(self, frames):
        points, visible = standing()
        count = len(frames)
        layout = Layout(np.stack([dressed()] * count), np.stack([points] * count), np.stack([visible] * count))
        return layout, np.zeros((count, 2), np.float32)

    def backward(self, coarse, poses, z_user):
        assert len(coarse) == len(poses.layout.keypoints) == len(z_user)
        return poses.latent, np.ones((1, len(coarse)))

    def decoded(self, z):
        return np.stack([dressed() if self.right else np.zeros(SIZE, np.uint8)] * len(z))

    def expected(self, coarse, poses, z_user):
        return np.zeros_like(coarse)

    def probabilities(self, z):
        return np.stack([certain(dressed())] * len(z))

    def read_user(self, frame):
        if frame.std() < 3:
            raise UserError("There is nothing in the photo: all its pixels have one colour.")
        seen = scores.at(Pose(*self.read_people(frame[None])), 0)
        return User(frame.astype(np.float32) / 255, seen.layout, seen.latent, np.ones(SIZE, bool))

    def read_garment(self, frame, garment_type=None, flat=None):
        user = self.read_user(frame)
        return Garment(user.image, user.layout, np.int32(2), np.bool_(False))

    def targets(self, user, garment, poses):
        for labels in poses.layout.segmentation:
            yield Target(labels, labels, np.ones(3), {})

    def paint(self, user, garment, targets):
        for labels in targets.segmentation:
            yield types.SimpleNamespace(image=user.image, labels=labels, photo_weight=np.ones(labels.shape))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Clothing Co-Parsing with three photos of `dressed`; the last photo is one grey."""
    for name in ("photos", "labels"):
        (tmp_path / name).mkdir()
    (tmp_path / "labels.json").write_text(json.dumps(label_tables.CCP_LABELS))
    names = {"upper-clothes": "shirt", "pants": "jeans", "background": "null"}
    ids = np.full(SIZE, label_tables.CCP_SKIN, np.uint8)
    for ours, theirs in names.items():
        ids[dressed() == ID[ours]] = label_tables.CCP_LABELS.index(theirs)
    noise = np.random.default_rng(0).normal(0, 8, (*SIZE, 3))
    photo = np.clip(segmentation.PALETTE[dressed()] * 0.8 + noise, 0, 255).astype(np.uint8)
    for number, picture in (("0003", photo), ("0013", photo), ("0023", np.full_like(photo, 128))):
        cv2.imwrite(str(tmp_path / "photos" / f"{number}.jpg"), picture)
        cv2.imwrite(str(tmp_path / "labels" / f"{number}.png"), ids)
    monkeypatch.setitem(systems.SYSTEMS, "lab126", Known)
    return tmp_path


def backward(folder, chosen, seed=0):
    """The part: (results, pictures, texts)."""
    part = ccp_layouts.Backward(CcpSuite.Options(data=str(folder)), chosen, seed)
    return dict(part.run()), part.pictures, part.texts


def test_a_decoder_that_knows_the_truth_improves_every_case(folder):
    chosen = ["0003", "0013"]
    results, pictures, texts = backward(folder, chosen)
    assert results["ccp.backward.num_cases"] == 2
    assert results["ccp.backward.coarse_miou"] < 0.95 < results["ccp.backward.final_miou"]
    assert results["ccp.backward.share_improved"] == results["ccp.backward.share_improved_filled"] == 1
    assert results["ccp.backward.reconciled_miou"] > results["ccp.backward.filled_miou"]
    assert results["ccp.backward.unknown"] > 0.005 and pictures
    assert {"backward.cases", "backward.disturbance", "backward.score"} <= texts["protocol"].keys()
    assert results == backward(folder, chosen)[0]
    assert results != backward(folder, chosen, seed=1)[0]


def test_a_decoder_that_sees_nobody_improves_none(folder, monkeypatch):
    monkeypatch.setattr(Known, "right", False)
    results, _, _ = backward(folder, ["0003", "0013"])
    assert results["ccp.backward.share_improved"] == 0
    assert results["ccp.backward.final_miou"] < 0.2 < results["ccp.backward.coarse_miou"]


def test_own_clothes_are_hidden_and_photos_without_a_person_counted(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(perceptual, "open_distances", lambda asked: Distances())
    shown = []
    paint = Known.paint
    watched = lambda self, user, *rest: (shown.append(user.image), paint(self, user, *rest))[1]  # noqa: E731
    monkeypatch.setattr(Known, "paint", watched)
    suite = CcpSuite(CcpSuite.Options(data=str(folder), ccp_parts=("self",), stride=1))
    results, texts = dict(suite.run()), suite.texts
    assert results["ccp.self.num_photos"] == 2 and results["ccp.self.left_out"] == 1
    assert texts["about"]["self.left_out"] == "0023" and texts["protocol"]["parts"] == "self"
    assert len(shown) == 2 * len(ARM_NAMES)
    for image in shown:
        assert (image[segmentation.region(dressed(), segmentation.GARMENTS)] == 0.5).all()
    # Known returns what it is shown, which is the baseline; it is far from the photo there, and equal elsewhere.
    for score in ("ssim", "psnr", "ssim_garment", "psnr_garment", "lpips"):
        assert results[f"ccp.self.joint.{score}"] == pytest.approx(results[f"ccp.self.hidden.{score}"])
    assert results["ccp.self.hidden.ssim_garment"] < 0.6 < results["ccp.self.hidden.ssim"] < 1
    report.write(tmp_path, suite, results)
    assert f"{results['ccp.self.none.psnr_garment']:.4f}" in (tmp_path / "report.html").read_text()


def test_unknown_parts_are_named(folder):
    with pytest.raises(UserError, match="ccp_parts=parsing,all should name some of parsing, backward, self"):
        CcpSuite(CcpSuite.Options(data=str(folder), ccp_parts=("parsing", "all")))
