"""GarmentCNN: reads a garment laid flat. Which pixels it covers, of what kind it is, and where its landmarks lie.

Conventions: image [B, H, W, 3] in [0, 1]; segmentation logits [B, H/4, W/4, 18]; landmark maps [B, H/4, W/4, 12] in the
order of `garment_landmarks.LANDMARKS`.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from vton_jax.core import keypoints, segmentation
from vton_jax.models import layers

NUM_LANDMARKS = 12


class GarmentCNN(nn.Module):
    widths: tuple[int, ...] = (48, 64, 96)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array) -> dict[str, jax.Array]:
        """Returns {'segmentation' (logits, stride 2), 'landmarks' (maps, stride 4)}."""
        x = layers.UNet(self.widths, dtype=self.dtype)(image * 2 - 1)
        x = nn.Conv(NUM_LANDMARKS + 4 * segmentation.NUM_LABELS, (3, 3), dtype=jnp.float32)(x.astype(jnp.float32))
        return {
            "landmarks": x[..., :NUM_LANDMARKS],
            "segmentation": layers.depth_to_space(x[..., NUM_LANDMARKS:], 2),
        }


def loss(outputs: dict, labels: jax.Array, landmarks: jax.Array, present: jax.Array, known: jax.Array) -> dict:
    """{'segmentation', 'landmarks'}; labels [B, H, W], landmarks [B, 12, 2] in pixels of them, present [B, 12].

    known [B]: whether an example's landmarks are given at all; where not, they count for nothing.
    """
    size = outputs["segmentation"].shape[1:3]
    target = segmentation.soft_maps(labels, labels.shape[1] // size[0])
    log_probabilities = jax.nn.log_softmax(outputs["segmentation"])
    size = outputs["landmarks"].shape[1:3]
    maps = keypoints.pose_map(keypoints.scale(landmarks, labels.shape[1:3], size), present, size, 1.5)
    return {
        "segmentation": -jnp.mean(jnp.sum(target * log_probabilities, -1)),
        "landmarks": jnp.mean(known[:, None, None, None] * jnp.square(outputs["landmarks"] - maps) * (1 + 30 * maps)),
    }


LOSS_WEIGHTS = {"segmentation": 1.0, "landmarks": 10.0}
