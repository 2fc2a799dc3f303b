"""Accessories: each has its label where it belongs, and follows body and pose."""

import numpy as np
import pytest

from vton_jax.catalogue import accessories, assets, bodies, camera, garments, people, poses, views
from vton_jax.catalogue.garments import Cut
from vton_jax.core import segmentation
from vton_jax.core.keypoints import ID as JOINTS

SIZE = (256, 192)
TOP = Cut("top")
ALL = {
    "bag": accessories.shoulder_bag("l", (0.4, 1.1, 1.2), 0.6),
    "scarf": accessories.scarf(0.35, 3.5),
    "sunglasses": accessories.sunglasses(0.28),
    "hat": accessories.cap(0.9, 0.18),
    "belt": accessories.belt(),
    "left-shoe": accessories.boots(1.1),
    "pants": accessories.tights(),
    "upper-clothes": accessories.coat(TOP, 1.0, 0.3),
}


def seen(worn, pose=None, seed: int = 4) -> views.View:
    who = bodies.sample_identity(np.random.default_rng(seed))
    person = people.dress(who, worn)
    return views.view_of(person, pose or poses.stand(), camera.frame(SIZE, person.height), SIZE)


@pytest.mark.parametrize("label", ALL)
def test_each_is_seen_with_its_label_and_follows_every_body(label):
    for seed in (0, 4):
        view = seen(ALL[label], seed=seed)
        rows, columns = np.nonzero(view.segmentation == segmentation.ID[label])
        assert len(rows) > 15
        points, _ = view.keypoints()
        near = np.abs(np.stack([columns, rows], 1)[:, None] - points).sum(-1).min(1)
        assert near.max() < 0.35 * np.ptp(points[:, 1])  # nothing hangs in the air
    for piece in ALL[label]:
        assert piece.triangles.max() < len(piece.weights)
        np.testing.assert_allclose(piece.weights.sum(1), 1, atol=1e-3)
        assert len(piece.uv) > piece.triangles_uv.max() and len(piece.labels) == len(piece.triangles)


def test_sunglasses_lie_over_the_eyes_and_a_cap_above_them():
    view = seen([*ALL["sunglasses"], *ALL["hat"]])
    points, _ = view.keypoints()
    for eye in ("left-eye", "right-eye"):
        column, row = np.rint(points[JOINTS[eye]]).astype(int)
        assert view.segmentation[row, column] == segmentation.ID["sunglasses"]
    right, left = (round(points[JOINTS[eye], 0]) for eye in ("right-eye", "left-eye"))
    rows = np.nonzero(view.segmentation[:, right : left + 1] == segmentation.ID["hat"])[0]
    assert len(rows) > 10 and rows.max() < points[JOINTS["left-eye"], 1] - 1


def test_a_coat_stands_open_over_the_top_and_boots_know_their_side():
    outfit = garments.outfit(TOP, Cut("trousers", leg=0.7))
    view = seen([*outfit, *ALL["upper-clothes"], *ALL["left-shoe"]])
    layer = np.where(view.raster.covered, view.person.layer[view.raster.triangle], 0)
    names = view.person.layers
    row = int(view.keypoints()[0][JOINTS["neck"], 1] + 20)
    across = [names[number] for number in layer[row]]
    assert "top" in across and across.count("coat") > across.count("top")
    assert across.index("coat") < across.index("top")
    left, right = (np.nonzero(view.segmentation == segmentation.ID[f"{side}-shoe"])[1] for side in ("left", "right"))
    assert left.min() > right.max()  # the left one is on the picture's right


def test_a_hand_bag_hangs_from_the_hand():
    bag = accessories.hand_bag("r", (0.4, 1.2, 1.3))
    for pose in (poses.stand(), poses.arms_crossed().turned(1.0)):
        view = seen(bag, pose)
        hand = assets.rig().joints(view.person.body)[assets.rig().bone("middle_01_r")]
        start, end, _ = view.person.hanging[0]
        rest, now = view.person.vertices[start:end] - hand, view.places[start:end]
        np.testing.assert_allclose(np.ptp(now[:, 1]), np.ptp(rest[:, 1]), atol=1e-6)  # upright
        assert now[:, 1].max() < view.joints[JOINTS["right-wrist"], 1]
    low, high = (
        seen(bag, pose).segmentation == segmentation.ID["bag"] for pose in (poses.stand(), poses.arms_crossed())
    )
    assert np.nonzero(low)[0].mean() > np.nonzero(high)[0].mean() + 10


def test_they_are_as_frequent_as_stated():
    generator = np.random.default_rng(0)
    kinds = {"scarf": "lower", "belt": "upper"}
    for name in ("bag", "scarf", "sunglasses", "cap", "belt", "boots"):
        kind = kinds.get(name, "dress")
        found = [accessories.sample(generator, 0.0, short_hair=True, kind=kind) for _ in range(1500)]
        fraction = np.mean([any(piece.name == name for piece in worn) for worn in found])
        assert fraction == pytest.approx(getattr(accessories.CHANCES, name)[0], abs=0.04)
    long_hair = [accessories.sample(generator, 0.0, short_hair=False, kind="dress") for _ in range(300)]
    assert not {"cap", "scarf", "belt"} & {piece.name for worn in long_hair for piece in worn}


def test_what_lies_around_neither_hides_nor_is_what_is_exchanged():
    generator = np.random.default_rng(0)
    kinds = {
        kind: [accessories.sample_around(generator, (TOP, Cut("skirt")), kind) for _ in range(60)]
        for kind in segmentation.GARMENT_TYPES
    }
    assert not any(kinds["dress"]) and not any(kinds["outfit"])
    assert {piece.name for worn in kinds["lower"] for piece in worn} == {"coat", "coat/skirt"}
    assert {piece.name for worn in kinds["upper"] for piece in worn} == {"tights"}


def test_stances_of_people_are_upright_and_mirrored():
    assert len(poses.stances()) > 1000
    np.testing.assert_allclose(np.linalg.norm(poses.stances(), axis=-1), 1, atol=1e-6)
    lies = poses.stances()[0]
    pose = poses.stance(lies)
    for name, direction in zip(poses.STANCE[:12], lies, strict=False):
        np.testing.assert_allclose(pose.aims[name].direction, direction)
    other = lies[poses._OTHER_SIDE] * [-1, 1, 1]
    at = poses.STANCE.index
    np.testing.assert_allclose(other[at("upperarm_l")], lies[at("upperarm_r")] * [-1, 1, 1])
    view = seen(["shoes01"], pose)
    points, _ = view.keypoints()
    assert points[JOINTS["neck"], 1] < points[JOINTS["right-hip"], 1] < points[JOINTS["right-ankle"], 1]
