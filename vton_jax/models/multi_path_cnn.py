"""MultiPathCNN (Lab126 talk): an auto-encoder with a small latent z and three decoder paths that share first layers.

Conventions: image [B, H, W, 3] in [0, 1]; z [B, latent_size]; the image path returns [B, H, W, 3] in [0, 1]; the
segmentation path returns logits [B, H/2, W/2, 18]; the pose path returns keypoint maps [B, H/2, W/2, 18], 1 at a joint.
The encoder sees the RGB image alone, in training and at inference; "the output is a smoothed version of the input".
Work happens at low resolution with many channels and leaves through depth-to-space.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from vton_jax.core import geometry, keypoints, segmentation
from vton_jax.core.types import Layout
from vton_jax.models import layers, losses


class Encoder(nn.Module):
    latent_size: int = 128
    widths: tuple[int, ...] = (64, 96, 128, 192)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array) -> jax.Array:
        x = layers.space_to_depth((image * 2 - 1).astype(self.dtype), 4)
        x = layers.ConvBlock(self.widths[0], dtype=self.dtype)(x)
        for width in self.widths[1:]:
            x = layers.ResidualBlock(dtype=self.dtype)(x)
            x = layers.ConvBlock(width, stride=2, dtype=self.dtype)(x)
        x = layers.ResidualBlock(dtype=self.dtype)(x)
        x = layers.Attention(dtype=self.dtype)(x)
        x = layers.ConvBlock(64, kernel=1, dtype=self.dtype)(x)
        return nn.Dense(self.latent_size, dtype=jnp.float32)(x.reshape(x.shape[0], -1).astype(jnp.float32))


class Path(nn.Module):
    """One decoder path: from stride 16 to `out` channels at stride `stride`."""

    out: int
    stride: int
    width: int = 96
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = layers.ConvBlock(self.width, doubled=True, dtype=self.dtype)(x)
        x = layers.ResidualBlock(dtype=self.dtype)(x)
        x = nn.Conv(2 * self.width, (1, 1), dtype=self.dtype, conv_general_dilated=layers.pointwise)(x)
        x = layers.depth_to_space(x, 2)
        x = layers.ConvBlock(self.width // 2, dtype=self.dtype)(x)
        block = 4 // self.stride
        x = nn.Conv(self.out * block * block, (3, 3), dtype=self.dtype)(x)
        return layers.depth_to_space(x, block).astype(jnp.float32)


class Decoder(nn.Module):
    """Shared first layers, then the three paths. `paths` limits the work to those named."""

    size: tuple[int, int]
    image_width: int = 128
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, z: jax.Array, paths: tuple[str, ...] = ("image", "segmentation", "pose")
    ) -> dict[str, jax.Array]:
        height, width = self.size[0] // 32, self.size[1] // 32
        x = nn.Dense(height * width * 64, dtype=self.dtype)(z)
        x = x.reshape(-1, height, width, 64)
        x = layers.ConvBlock(192, dtype=self.dtype)(x)
        x = layers.ResidualBlock(dtype=self.dtype)(x)
        x = layers.ConvBlock(160, doubled=True, dtype=self.dtype)(x)
        x = layers.ResidualBlock(dtype=self.dtype)(x)
        out = {}
        # Every path exists in the parameters; only those asked for are computed in `apply`.
        for name, make in (
            ("image", lambda: Path(3, 1, self.image_width, self.dtype, name="image_path")),
            ("segmentation", lambda: Path(segmentation.NUM_LABELS, 2, dtype=self.dtype, name="segmentation_path")),
            ("pose", lambda: Path(keypoints.NUM_JOINTS, 2, dtype=self.dtype, name="pose_path")),
        ):
            if name in paths or self.is_initializing():
                out[name] = make()(x)
        if "image" in out:
            out["image"] = nn.sigmoid(out["image"])
        return out


class MultiPathCNN(nn.Module):
    size: tuple[int, int] = (256, 192)
    latent_size: int = 128
    dtype: Any = jnp.float32

    def setup(self):
        self.encoder = Encoder(self.latent_size, dtype=self.dtype)
        self.decoder = Decoder(self.size, dtype=self.dtype)

    def encode(self, image: jax.Array) -> jax.Array:
        """RGB image -> z."""
        return self.encoder(image)

    def decode(self, z: jax.Array, paths: tuple[str, ...] = ("image", "segmentation", "pose")) -> dict[str, jax.Array]:
        """z -> {'image', 'segmentation' (logits), 'pose' (maps)}."""
        return self.decoder(z, paths)

    def __call__(self, image: jax.Array) -> dict[str, jax.Array]:
        """The forward procedure: a photo in; smoothed image, label logits, pose maps and z out."""
        z = self.encode(image)
        return {"z": z} | self.decode(z)


POSE_SIGMA = 2.5  # pixels at the pose path's own resolution
# Classes that cover few pixels count more in the cross-entropy, by about the root of their rarity.
_CLASS_WEIGHTS = {
    "background": 0.7, "hair": 1.6, "face": 2.0, "left-arm": 2.5, "right-arm": 2.5, "left-leg": 2.0, "right-leg": 2.0,
    "left-shoe": 3.0, "right-shoe": 3.0,
}  # fmt: skip


def read(outputs: dict, size: tuple[int, int], threshold: float = 0.25) -> tuple[Layout, jax.Array]:
    """What the segmentation and pose paths show, brought to `size`: layouts [B], and the joints' confidence [B, 18].

    A joint whose peak stays below `threshold` is missing, at (0, 0).
    """
    labels = geometry.resize(outputs["segmentation"], size).argmax(-1).astype(jnp.uint8)
    points, visible, confidence = keypoints.read_pose_map(outputs["pose"], threshold)
    points = keypoints.scale(points, outputs["pose"].shape[1:3], size)
    return Layout(labels, jnp.where(visible[..., None], points, 0.0), visible), confidence


def loss(outputs: dict, image: jax.Array, labels: jax.Array, points: jax.Array, visible: jax.Array) -> dict:
    """The three paths' losses, each averaged over the batch: {'image', 'segmentation', 'dice', 'pose', 'latent'}.

    Args: image [B, H, W, 3]; labels [B, H, W]; points [B, 18, 2] in pixels of the image; visible [B, 18].
    """
    size = outputs["segmentation"].shape[1:3]
    target = segmentation.soft_maps(labels, labels.shape[1] // size[0])
    weights = jnp.array([_CLASS_WEIGHTS.get(name, 1.0) for name in segmentation.LABELS])
    log_probabilities = jax.nn.log_softmax(outputs["segmentation"])
    cross_entropy = -jnp.sum(weights * target * log_probabilities, -1)
    probabilities = jnp.exp(log_probabilities)
    overlap = 2 * jnp.sum(probabilities * target, (0, 1, 2)) + 1.0
    known = jnp.sum(target, -1, keepdims=True)  # less than 1 where the truth is UNKNOWN
    total = jnp.sum(probabilities * known, (0, 1, 2)) + jnp.sum(target, (0, 1, 2)) + 1.0
    present = jnp.sum(target, (0, 1, 2)) > 0
    dice = jnp.sum(jnp.where(present, 1 - overlap / total, 0.0)) / jnp.maximum(present.sum(), 1)
    here = keypoints.scale(points, image.shape[1:3], size)
    maps = keypoints.pose_map(here, visible, size, POSE_SIGMA)
    pose = jnp.mean(jnp.square(outputs["pose"] - maps) * (1 + 30 * maps), (1, 2, 3))
    annotated = visible.any(-1)  # no joint at all: nobody looked for joints
    small = layers.space_to_depth(image, 2).reshape(image.shape[0], *size, 4, 3).mean(3)
    small_out = layers.space_to_depth(outputs["image"], 2).reshape(image.shape[0], *size, 4, 3).mean(3)
    return {
        "image": jnp.mean(jnp.abs(outputs["image"] - image)) + losses.gradient_difference(small_out, small),
        "segmentation": jnp.mean(cross_entropy),
        "dice": dice,
        "pose": losses.masked_mean(pose, annotated),
        "latent": jnp.mean(jnp.square(outputs["z"])),
    }


LOSS_WEIGHTS = {"image": 1.0, "segmentation": 1.0, "dice": 0.5, "pose": 10.0, "latent": 1e-4}


class Discriminator(nn.Module):
    """Judges 4x4-patch neighbourhoods of images; for the optional adversarial term."""

    widths: tuple[int, ...] = (64, 128, 192)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array) -> jax.Array:
        x = layers.space_to_depth((image * 2 - 1).astype(self.dtype), 2)
        for width in self.widths:
            x = nn.leaky_relu(layers.Norm(self.dtype)(nn.Conv(width, (4, 4), (2, 2), dtype=self.dtype)(x)), 0.2)
        return nn.Conv(1, (3, 3), dtype=jnp.float32)(x.astype(jnp.float32))
