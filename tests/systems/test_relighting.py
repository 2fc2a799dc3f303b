"""What lay flat takes the light of the user's photo; all else stays as it is."""

import jax
import numpy as np
import pytest

from vton_jax.compositing import lighting
from vton_jax.core.segmentation import ID
from vton_jax.core.types import Dressed, Garment, Layout, User
from vton_jax.systems.relighting import Relighting, relit

SIZE, STRENGTH = (64, 48), lighting.CHOSEN.cloth
LABELS = np.full(SIZE, ID["upper-clothes"], np.uint8)
JOINTS = np.zeros((18, 2), np.float32), np.zeros(18, bool)


class KnownShading(Relighting):
    """Lit from everywhere, and from the left alone on the left half."""

    def __init__(self):
        self.asked = 0

    def shading(self, layouts):
        self.asked += len(layouts.segmentation)
        fields = np.zeros((SIZE[0] // 2, SIZE[1] // 2, 5), np.float32)
        fields[..., 0], fields[:, : SIZE[1] // 4, 1] = 1, 1
        return np.stack([fields] * len(layouts.segmentation))


def dressed(weight, besides=()):
    flow, zero = np.zeros((1, *SIZE, 2), np.float32), np.zeros((1, *SIZE), np.float32)
    image = np.full((1, *SIZE, 3), 0.5, np.float32)
    return Dressed(image, LABELS[None], flow, zero, weight, flow, zero, besides)


def garment(flat):
    return Garment(None, None, np.int32(0), np.bool_(flat))


def photo(from_left):
    """Of somebody whose shirt is brighter on the left by so much."""
    image = np.full((*SIZE, 3), 0.4, np.float32)
    image[:, : SIZE[1] // 2] *= (1 + from_left) ** (1 / 2.2)
    return User(image, Layout(LABELS, *JOINTS), None, np.ones(SIZE, bool))


@pytest.fixture
def targets():
    return Layout(LABELS[None], JOINTS[0][None], JOINTS[1][None])


@pytest.fixture
def weight():
    found = np.zeros((1, *SIZE), np.float32)
    found[:, 10:50, 4:44] = 1
    return found


def test_a_worn_garment_keeps_its_own_light(targets, weight):
    given = dressed(weight)
    assert relit(given, (garment(False),), KnownShading().lit(photo(0.5), targets)[1]) is given


def lit(given, user, targets, *flat):
    """One channel of the picture."""
    bright = KnownShading().lit(user, targets)[1]
    return np.asarray(relit(given, [garment(one) for one in flat], bright).image)[0, ..., 0]


def test_a_flat_one_is_lit_as_the_photo_is(targets, weight):
    image = lit(dressed(weight), photo(1.0), targets, True)
    np.testing.assert_array_equal(image[weight[0] == 0], 0.5)
    left, right = image[20:40, 8:20].mean(), image[20:40, 28:40].mean()
    assert left > 0.51 > 0.49 > right
    np.testing.assert_allclose((left / right) ** 2.2, 2.0**STRENGTH, rtol=0.05)
    even = lit(dressed(weight), photo(0.0), targets, True)
    assert even[20:40, 8:20].mean() / even[20:40, 28:40].mean() < 1.05


def test_the_light_of_one_photo_is_looked_for_once(targets):
    relighting, user = KnownShading(), photo(1.0)
    for _ in range(3):
        own, bright = relighting.lit(user, targets)
    assert relighting.asked == 4
    np.testing.assert_allclose(own, bright[0])  # the same layout in the same light
    relighting.lit(photo(0.2), targets)
    assert relighting.asked == 6


def test_somebody_who_moves_is_in_the_usual_light(targets, weight):
    image = lit(dressed(weight), None, targets, True)
    usual = 1 + 0.15 / 0.5
    np.testing.assert_allclose((image[30, 12] / image[30, 36]) ** 2.2, usual**STRENGTH, rtol=0.02)
    assert KnownShading().lit(None, targets)[0] is None


def test_of_several_garments_those_that_lay_flat_are_lit(targets, weight):
    flow, other = np.zeros((1, *SIZE, 2), np.float32), 1 - weight
    image = lit(dressed(weight, ((flow, other),)), photo(1.0), targets, False, True)
    np.testing.assert_array_equal(image[weight[0] > 0], 0.5)
    assert np.ptp(image[other[0] > 0]) > 0.02


def test_the_released_network_says_that_sides_are_darker():
    """A standing drawn person in the light from the front: a trunk turns away at its sides."""
    from vton_jax.inputs import lit_people

    look = lit_people.draw(11, "test")[0]
    layout = Layout(look["segmentation"], look["keypoints"], look["visible"])
    said = Relighting().shading(jax.tree.map(lambda a: a[None], layout))[0]
    true = lit_people.linear(np.float32(look["shading"]))
    shown = look["shading"][..., 0] > 0
    assert np.abs(said - true)[shown].mean() < 0.12
    for light in range(1, 5):
        assert np.corrcoef(said[shown][:, light], true[shown][:, light])[0, 1] > 0.6
