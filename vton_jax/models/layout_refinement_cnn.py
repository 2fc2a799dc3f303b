"""LayoutRefinementCNN: the layout that a coarse map should have become.

The eight steps carry a garment over as body parts move: rigid pieces, with rules for sleeves and hems. What cloth does
to them (a shirt that lies as wide as it is around, a sleeve that lies at another angle, a hem that falls) they cannot
know. This network has seen coarse maps beside the layouts of the same people in the same clothes, and says of every
pixel what it should be; it knows labels and joints alone, so that drawn people teach it as well as photos would. Not in
the talk, where the backward procedure alone mends the coarse map.

Conventions: label maps [B, H, W], coarse ones with `UNKNOWN`; joints in pixels of [H, W]; H and W are multiples of 16.
`Given` holds what the coarse map was made from.
"""

from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import keypoints, segmentation
from vton_jax.core.types import Layout
from vton_jax.models import layers, losses

_HALF, _QUARTER = 2, 4
GIVEN = 3 * segmentation.NUM_LABELS + 2 * keypoints.NUM_JOINTS + len(segmentation.GARMENT_TYPES)
_SIGMA = 1.0  # of joint maps, in their own places
_STAYS = 3.0  # logit that what the coarse map says begins with
# Sigma in pixels by which logits are smoothed, so that outlines do not show the patches: on 48 validation cases of the
# catalogue a mean IoU of 0.672 after 0.664, with 0.7, 1, 2 and 3 pixels 0.670, 0.671, 0.671 and 0.665.
_SMOOTH = 1.5


@flax.struct.dataclass
class Given:
    """The layouts of the user, of the pose image and of the garment alone, their labels at half the size [B, H/2, W/2],
    and the garment's type, an index [B] of `segmentation.GARMENT_TYPES`. The user's joints do not count.
    """

    user: Layout
    pose: Layout
    dress: Layout
    garment_type: jax.Array


class LayoutRefinementCNN(nn.Module):
    """A U-Net on 4x4 patches of the coarse map; `widths` are the channels at strides 4, 8 and 16."""

    widths: tuple[int, ...] = (32, 56, 96)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, known: jax.Array, given: jax.Array) -> dict[str, jax.Array]:
        """What coarse maps should have become.

        Args: known: the coarse map [B, H, W, 18], zeros where it is unknown. given: `maps_of` what it was made from.
        Returns: {'segmentation': logits [B, H, W, 18]}.
        """
        unknown = 1 - known.sum(-1, keepdims=True)
        x = layers.UNet(self.widths, dtype=self.dtype)(known, unknown, given)
        x = layers.ConvBlock(self.widths[0], dtype=self.dtype)(x)
        channels = segmentation.NUM_LABELS * _QUARTER**2
        x = nn.Conv(channels, (1, 1), dtype=self.dtype, conv_general_dilated=layers.pointwise)(x)
        stays = self.param("stays", nn.initializers.constant(_STAYS), (segmentation.NUM_LABELS,))
        logits = layers.depth_to_space(x.astype(jnp.float32), _QUARTER) + stays * known
        return {"segmentation": _smoothed(logits)}


def _smoothed(logits: jax.Array) -> jax.Array:
    """Logits [B, H, W, C] under a Gaussian of `_SMOOTH`, with zeros outside; with so many channels sums of shifted
    maps are cheaper than `geometry.blur`.
    """
    reach = round(3 * _SMOOTH)
    taps = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / _SMOOTH))
    taps = np.float32(taps / taps.sum())
    for axis in (1, 2):
        # Put together by hand: jax2onnx knows no padding of a free batch.
        side, nothing = logits.shape[axis], 0 * jax.lax.slice_in_dim(logits, 0, reach, axis=axis)
        padded = jnp.concatenate([nothing, logits, nothing], axis)
        logits = sum(
            tap * jax.lax.slice_in_dim(padded, place, place + side, axis=axis) for place, tap in enumerate(taps)
        )
    return logits


def maps_of(given: Given, size: tuple[int, int]) -> jax.Array:
    """What the network is told besides the coarse map: [B, H/4, W/4, `GIVEN`].

    The labels' fractions of user, pose image and garment in blocks of 4x4 pixels, the joints' maps of the pose image
    and of the garment's wearer, and the garment's type everywhere.
    """
    small = size[0] // _QUARTER, size[1] // _QUARTER
    parts = [segmentation.soft_maps(of.segmentation, _QUARTER // _HALF) for of in (given.user, given.pose, given.dress)]
    for of in (given.pose, given.dress):
        parts.append(keypoints.pose_map(keypoints.scale(of.keypoints, size, small), of.visible, small, _SIGMA))
    kind = jax.nn.one_hot(given.garment_type, len(segmentation.GARMENT_TYPES))
    return jnp.concatenate([*parts, jnp.broadcast_to(kind[:, None, None], (*parts[0].shape[:3], kind.shape[-1]))], -1)


LOSS_WEIGHTS = {"segmentation": 1.0, "dice": 0.5}


def loss(outputs: dict, labels: jax.Array) -> dict:
    """{name of `LOSS_WEIGHTS`: a mean}. Args: labels: the true layout [B, H, W]."""
    return losses.labels(outputs["segmentation"], labels)
