"""What LayoutRefinementCNN may not say of a target layout, whatever it sees."""

import dataclasses

import capsule_people
import jax.numpy as jnp
import numpy as np
import pytest

from vton_jax.core import segmentation
from vton_jax.core.types import Garment, Layout
from vton_jax.layout import limbs
from vton_jax.systems.lab126 import target_layouts


@dataclasses.dataclass(frozen=True)
class Sees:
    """A LayoutRefinementCNN that would put labels everywhere, one with 5 more than the coarse map, another with 4."""

    names: tuple[str, ...]

    def apply(self, params, known, maps):
        more = jnp.zeros(known.shape)
        for value, name in zip((5.0, 4.0), self.names, strict=False):
            more = more.at[..., segmentation.ID[name]].set(value)
        return {"segmentation": known + more}


def refined(coarse: np.ndarray, *names: str, joints=None) -> np.ndarray:
    """What becomes of a coarse map [1, H, W] where the network sees labels everywhere."""
    joints = joints or (np.zeros((1, 18, 2), np.float32), np.zeros((1, 18), bool))
    layout = Layout(np.zeros(coarse.shape, np.uint8), *joints)
    worn = Garment(np.ones((*coarse.shape, 3), np.float32), layout, np.zeros(1, np.int32), np.ones(1, bool))
    return refined_by(Sees(names), coarse, layout, worn, layout)


def refined_by(network, coarse: np.ndarray, user: Layout, worn: Garment, pose: Layout) -> np.ndarray:
    given, bodies = target_layouts.given_of(user, worn, pose), limbs.all_bodies(pose, coarse.shape[1:])
    return np.asarray(target_layouts._refine(network, {}, coarse, given, bodies))


def test_a_belt_stays_below_a_top_that_falls_over_it():
    """Else it cuts through the print of every new shirt; where the coarse map knows nothing there may be one."""
    upper, belt = segmentation.ID["upper-clothes"], segmentation.ID["belt"]
    coarse = np.full((1, 64, 48), upper, np.uint8)
    coarse[:, 20:24], coarse[:, 40:50] = belt, segmentation.UNKNOWN
    found = refined(coarse, "belt")
    np.testing.assert_array_equal(found == belt, coarse != upper)
    assert (found[coarse == upper] == upper).all()


def test_a_dress_does_not_become_a_skirt_below_a_top():
    """What is cloth stays cloth, of the likeliest kind that somebody wears; what is none stays none."""
    dress, pants, arm = (segmentation.ID[name] for name in ("dress", "pants", "left-arm"))
    coarse = np.zeros((1, 64, 48), np.uint8)
    coarse[:, 10:40], coarse[:, 40, :4] = dress, segmentation.ID["skirt"]  # a speck of a skirt is nobody's
    assert (refined(coarse, "skirt", "pants") == dress).all()
    coarse[:, 50:60] = pants
    assert (refined(coarse, "skirt", "pants") == pants).all()
    np.testing.assert_array_equal(refined(coarse, "left-arm"), np.full_like(coarse, arm))


@pytest.mark.parametrize("moved", [False, True])
def test_a_bag_stays_where_the_photo_shows_it_in_its_own_pose(moved):
    bag, upper = segmentation.ID["bag"], segmentation.ID["upper-clothes"]
    coarse, own = np.full((1, 64, 48), upper, np.uint8), np.zeros((1, 64, 48), np.uint8)
    own[:, 20:40, 10:30] = bag
    joints = np.zeros((1, 18, 2), np.float32), np.ones((1, 18), bool)
    user, pose = Layout(own, *joints), Layout(own, joints[0] + np.float32(moved), joints[1])
    worn = Garment(np.ones((*own.shape, 3), np.float32), user, np.zeros(1, np.int32), np.ones(1, bool))
    found = refined_by(Sees(("bag",)), coarse, user, worn, pose)
    np.testing.assert_array_equal(found == bag, (own == bag) & (not moved))


@pytest.mark.parametrize("down, kept", [(2.0, True), (0.5, False)])
def test_long_trousers_do_not_become_short_ones(down, kept):
    """A network that sees bare legs everywhere; what ends above the knees it may shorten."""
    worn = capsule_people.person(0.5, down)
    coarse = np.asarray(worn.segmentation)[None]
    joints = np.asarray(worn.keypoints, np.float32)[None], np.asarray(worn.visible)[None]
    found = refined(coarse, "left-leg", joints=joints)
    below = segmentation.region(coarse, segmentation.LOWER)
    assert below.any()
    expected = np.where(below & kept, coarse, segmentation.ID["left-leg"])
    np.testing.assert_array_equal(found[below], expected[below])
    assert (found[coarse == segmentation.ID["upper-clothes"]] == segmentation.ID["left-leg"]).all()
