"""A known light is found in a picture that it lights, and cloth is shaded by it."""

import numpy as np
import pytest

from vton_jax.compositing import lighting
from vton_jax.core.segmentation import ID

SIZE = (64, 48)
USUAL = np.float32(lighting.CHOSEN.usual)


def shading(size=(SIZE[0] // 2, SIZE[1] // 2)):
    """Of an upright cylinder: ambient is even, the sides see one light each, the front and the top see theirs."""
    across = np.broadcast_to(np.linspace(-1, 1, size[1]), size)
    down = np.broadcast_to(np.linspace(-1, 1, size[0])[:, None], size)
    fields = np.ones(size), np.clip(-across, 0, 1), np.clip(across, 0, 1), np.sqrt(1 - across**2), np.clip(-down, 0, 1)
    return np.float32(np.stack(fields, -1))


def photo(light, cloth=0.5, skin=0.3):
    """A picture, its labels: a shirt above bare legs, lit by `light`."""
    lit = np.repeat(np.repeat(shading() @ np.float32(light), 2, 0), 2, 1)
    labels = np.full(SIZE, ID["upper-clothes"], np.uint8)
    labels[SIZE[0] // 2 :] = ID["left-leg"]
    albedo = np.where(labels == ID["left-leg"], skin, cloth)
    return np.repeat(((albedo * lit) ** (1 / 2.2))[..., None], 3, -1).astype(np.float32), labels


def found(image, labels, **settings):
    shown = np.ones(SIZE, bool)
    chosen = lighting.dataclasses.replace(lighting.CHOSEN, **settings)
    return lighting.light_of(image, labels, shading(), shown, chosen)


def relative(light):
    lit = shading() @ np.float32(light)
    return lit / lit.mean()


@pytest.mark.parametrize("light", [(0.5, 0.6, 0.0, 0.1, 0.0), (0.3, 0.0, 0.5, 0.3, 0.2), (0.8, 0.1, 0.1, 0.0, 0.0)])
def test_a_light_is_found_whatever_the_colours(light):
    answer = found(*photo(light), usual_weight=0.0)
    np.testing.assert_allclose(relative(answer), relative(light), atol=0.03)
    other = found(*photo(light, cloth=0.05, skin=0.8), usual_weight=0.0)
    np.testing.assert_allclose(relative(other), relative(light), atol=0.03)


def test_a_print_does_not_mislead():
    image, labels = photo((0.4, 0.6, 0.0, 0.1, 0.0))
    image[6:16, 8:20] *= 0.4  # a dark print where the light comes from
    lit = relative(found(image, labels))
    assert lit[:, :6].mean() > 1.1 * lit[:, -6:].mean()


def test_without_anything_to_see_the_light_is_the_usual_one():
    image, labels = photo((0.4, 0.6, 0.0, 0.1, 0.0))
    np.testing.assert_allclose(found(image, np.zeros_like(labels)), USUAL)
    black = found(np.zeros_like(image), labels)
    np.testing.assert_allclose(black, USUAL)
    hidden = lighting.light_of(image, labels, shading(), np.zeros(SIZE, bool))
    np.testing.assert_allclose(hidden, USUAL)


def test_the_usual_light_counts_the_more_the_higher_its_weight():
    image, labels = photo((0.4, 0.9, 0.0, 0.0, 0.0))
    far = [np.abs(relative(found(image, labels, usual_weight=w)) - relative(USUAL)).mean() for w in (0.0, 1e-2, 1e3)]
    assert far[0] > far[1] > far[2]
    assert far[2] < 1e-2


def test_cloth_is_brighter_towards_the_light_and_as_bright_as_before_in_the_mean():
    garment = np.zeros(SIZE, np.float32)
    garment[8:40, 10:38] = 1
    labels = np.uint8(ID["upper-clothes"] * garment)
    bright = lambda *light: lighting.brightness(shading(), np.float32(light), labels)  # noqa: E731
    factor = lighting.as_worn(bright(0.5, 0.5, 0, 0, 0), garment)
    assert factor.shape == SIZE
    assert factor[20, 12] > 1.03
    assert factor[20, 35] < 0.97
    assert abs(factor[garment > 0].mean() - 1) < 0.02
    even = lighting.as_worn(bright(1, 0, 0, 0, 0), garment)
    np.testing.assert_allclose(even, 1, atol=1e-6)
    nothing = lighting.as_worn(bright(0.5, 0.5, 0, 0, 0), np.zeros(SIZE, np.float32))
    np.testing.assert_allclose(nothing, 1)
    least, most = lighting.CHOSEN.most
    hard = lighting.as_worn(bright(0, 1, 0, 0, 0), garment)
    assert hard.min() >= least
    assert hard.max() <= most


def test_beyond_the_outline_brightness_goes_on():
    labels = np.zeros(SIZE, np.uint8)
    labels[:, 20:] = 4
    fields = shading()
    fields[:, :10] = 0  # nobody knows what the network says there
    bright = lighting.brightness(fields, np.float32([1, 0, 0, 0, 0]), labels)
    np.testing.assert_allclose(bright[:, 18:], 1, atol=1e-3)
    assert bright.min() >= 1e-3
