"""ShadingCNN: how light falls on a person, from their layout and joints alone.

A garment that lies flat is lit evenly; on a body it is darker where it turns away from the light, below a chin and
where an arm lies close. The catalogue knows this exactly, for drawn people in any light. Not in the talks.

Conventions: label maps [B, H, W]; joints in pixels of [H, W]; H and W are multiples of 16. A shading [B, H/2, W/2, 5]
is linear light on a white surface, 0 to about 1.2: what comes from everywhere, then key lights from the left, the
right, the front and above (`catalogue.pictures.KEY_DIRECTIONS`), as the camera has them.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from vton_jax.core import keypoints, segmentation
from vton_jax.models import layers

NUM_LIGHTS = 5
_QUARTER = 4
_SIGMA = 1.0  # of joint maps, in their own places


class ShadingCNN(nn.Module):
    """A U-Net on 4x4 patches of the layout; `widths` are the channels at strides 4, 8 and 16."""

    widths: tuple[int, ...] = (32, 48, 64)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, labels: jax.Array, joints: jax.Array) -> dict[str, jax.Array]:
        """How light falls.

        Args: labels: one-hot [B, H, W, 18]. joints: their maps [B, H/4, W/4, 18], see `joint_maps`.
        Returns: {'root': the square root of the shading [B, H/2, W/2, 5]}.
        """
        x = layers.UNet(self.widths, dtype=self.dtype)(labels, joints)
        channels = NUM_LIGHTS * (_QUARTER // 2) ** 2
        x = nn.Conv(channels, (1, 1), dtype=self.dtype, conv_general_dilated=layers.pointwise)(x)
        return {"root": layers.depth_to_space(x.astype(jnp.float32), _QUARTER // 2)}


def joint_maps(points: jax.Array, visible: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Joints [B, 18, 2] of pictures of `size` as the network is told them: [B, H/4, W/4, 18]."""
    small = size[0] // _QUARTER, size[1] // _QUARTER
    return keypoints.pose_map(keypoints.scale(points, size, small), visible, small, _SIGMA)


def inputs(labels: jax.Array, points: jax.Array, visible: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The network's inputs, from a layout's labels [B, H, W] and joints."""
    return segmentation.one_hot(labels.astype(jnp.int32)), joint_maps(points, visible, labels.shape[1:3])


LOSS_WEIGHTS = {"l1": 1.0, "edges": 1.0}


def loss(root: jax.Array, shading: jax.Array) -> dict:
    """{name of `LOSS_WEIGHTS`: a mean over whoever is seen}. Args: shading: the true one, 0 where nobody is."""
    shown = (shading[..., :1] > 0).astype(jnp.float32)
    error = (root - jnp.sqrt(shading)) * shown
    count = jnp.maximum(shown.sum(), 1.0) * NUM_LIGHTS
    differences = [
        (error[:, 1:] - error[:, :-1]) * shown[:, 1:] * shown[:, :-1],
        (error[:, :, 1:] - error[:, :, :-1]) * shown[:, :, 1:] * shown[:, :, :-1],
    ]
    return {"l1": jnp.abs(error).sum() / count, "edges": sum(jnp.abs(d).sum() for d in differences) / count}
