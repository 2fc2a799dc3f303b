"""Garments worn at once: placed each by its own flow, and painted in one pass of a network that stands in."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vton_jax.core import segmentation
from vton_jax.core.types import Garment, Layout
from vton_jax.systems.lab126 import together

SIZE = (32, 24)
UPPER, PANTS, FACE = (segmentation.ID[name] for name in ("upper-clothes", "pants", "face"))
RED, BLUE = np.float32([1, 0, 0]), np.float32([0, 0, 1])


def layout(labels):
    return Layout(labels[None], np.full((1, 18, 2), 12.0, np.float32), np.ones((1, 18), bool))


def garment(kind, label, colour):
    labels = np.zeros(SIZE, np.uint8)
    labels[4:28, 4:20] = label
    image = np.where(labels[..., None] > 0, colour, np.float32(1))
    return Garment(image[None], layout(labels), np.int32([kind]), np.array([True]))


@pytest.fixture(scope="module")
def case():
    """(garments, their flows, the target): the trousers' flow is trusted on the left alone."""
    labels = np.zeros(SIZE, np.uint8)
    labels[2:6, 10:14], labels[6:16, 6:18], labels[16:30, 6:18] = FACE, UPPER, PANTS
    garments = garment(0, UPPER, RED), garment(1, PANTS, BLUE)
    still, sure = np.zeros((1, *SIZE, 2), np.float32), np.ones((1, *SIZE, 1), np.float32)
    half = sure * (np.arange(SIZE[1]) < 12)[:, None].astype(np.float32)
    cloths = [np.broadcast_to(colour, (1, *SIZE, 3)) for colour in (RED, BLUE)]
    flows = tuple({"flow": still + index, "warped": cloth, "mask": mask}
                  for index, (cloth, mask) in enumerate(zip(cloths, (sure, half), strict=True)))  # fmt: skip
    return garments, flows, layout(labels)


class Network:
    """Shows the dress image, and copies half of it."""

    def apply(self, params, user_image, dress_image, s_output, s_input, s_dress):
        # What it is told of the dress is what the target wears, and nothing else.
        worn = segmentation.region(s_output.argmax(-1), segmentation.GARMENTS)
        image = jnp.where((s_dress.argmax(-1) > 0) == worn, 1.0, jnp.nan)[..., None] * dress_image
        return {"image": image, "weights": jnp.full((*worn.shape, 3), 0.5).at[..., 0].set(0)}


def test_they_are_shown_to_the_network_as_one_outfit(case):
    garments, flows, target = case
    outfit = jax.jit(together.as_one)(garments, flows, target)
    image, labels = np.asarray(outfit.image[0]), target.segmentation[0]
    assert segmentation.GARMENT_TYPES[int(outfit.garment_type[0])] == "outfit" and not bool(outfit.flat[0])
    np.testing.assert_allclose(image[labels == UPPER], np.broadcast_to(RED, (120, 3)), atol=1e-6)
    np.testing.assert_allclose(image[labels == PANTS], np.broadcast_to(BLUE, (168, 3)), atol=1e-6)  # or its mean colour
    assert (image[(labels == 0) | (labels == FACE)] == 1).all()
    np.testing.assert_array_equal(outfit.layout.segmentation[0], np.where(labels == FACE, 0, labels))


@pytest.mark.parametrize("arm", ["none", "post", "joint"])
def test_one_pass_paints_them_and_says_what_is_whose(case, arm):
    garments, flows, target = case
    user = np.full((1, *SIZE, 3), 0.5, np.float32), target.segmentation
    dressed = together.dress((arm, Network()), {}, user, (garments, target), flows)
    labels, left = target.segmentation[0], np.broadcast_to(np.arange(SIZE[1]) < 12, SIZE)
    upper, trusted = labels == UPPER, (labels == PANTS) & left
    copied = 1.0 if arm == "post" else 0.5
    np.testing.assert_allclose(dressed.garment_weight[0], copied * upper)
    ((flow, weight),) = dressed.besides
    np.testing.assert_allclose(weight[0], copied * trusted)
    assert (dressed.flow == 0).all() and (flow == 1).all()
    photo = 0.5 * ~(upper | trusted) if arm == "post" else 0.5
    np.testing.assert_allclose(dressed.photo_weight[0], np.broadcast_to(photo, SIZE))
    np.testing.assert_allclose(dressed.image[0][labels == PANTS], np.broadcast_to(BLUE, (168, 3)), atol=0.01)
    np.testing.assert_allclose(dressed.image[0][upper], np.broadcast_to(RED, (120, 3)), atol=0.01)
