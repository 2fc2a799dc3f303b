"""ReaderCNN: reads whatever a picture shows. Is it a person, a garment laid flat, or neither; labels, joints, facing.

Conventions: image [B, H, W, 3] in [0, 1], sides multiples of 32; label logits [B, H, W, 18] of ATR's table; joint maps
[B, H/4, W/4, 18] are logits of where a joint lies, beside `outside` [B, 18], the logit of its lying beyond the picture
or nowhere. `places` [B, 18, 2] are joints as (x / W, y / H), beyond the picture too. `facing` [B, 2] is (sin, cos) of
how far the trunk is turned to the picture's right; it is the shorter, the less is known. A garment laid flat has the
joints of the one who would wear it.
"""

from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from vton_jax.core import geometry, keypoints, segmentation
from vton_jax.models import layers, losses

KINDS = ("none", "person", "garment")
TYPES = ("upper", "lower", "dress")
SLEEVES = ("none", "short", "three-quarter", "long")
UNKNOWN = -1  # of a class that nobody has said
SIGMA = 1.0  # of a joint's target, in places of the joint maps
_GRID = (4, 3)  # of what the answers about the whole picture are made from


class ReaderCNN(nn.Module):
    """A U-Net (Ronneberger et al. 2015) on 2x2 patches; `widths` are the channels at strides 2, 4, 8, 16 and 32.

    Less at stride 4 and more below: most answers need the whole picture, not every pixel.
    """

    widths: tuple[int, ...] = (24, 56, 112, 160, 224)
    hidden: int = 256  # of the answers about the whole picture
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array) -> dict[str, jax.Array]:
        """Returns {'segmentation', 'joints', 'outside', 'places', 'seen', 'kind', 'garment_type', 'sleeves', 'facing'}.

        'seen' [B, 18], 'kind' [B, 3], 'garment_type' [B, 3] and 'sleeves' [B, 4] are logits, of whether a joint is in
        sight and of `KINDS`, `TYPES` and `SLEEVES`.
        """

        def across(x, width):
            return nn.Conv(width, (1, 1), dtype=self.dtype, conv_general_dilated=layers.pointwise)(x)

        x = layers.space_to_depth((image * 2 - 1).astype(self.dtype), 2)
        x = layers.ConvBlock(self.widths[0], dtype=self.dtype)(x)
        skips = []
        for level, width in enumerate(self.widths[1:]):
            skips.append(x)
            x = layers.ConvBlock(width, stride=2, dtype=self.dtype)(x)
            if level:
                x = layers.ResidualBlock(dtype=self.dtype)(x)
        whole = self._whole(x)
        x = x + nn.Dense(x.shape[-1], dtype=self.dtype)(whole)[:, None, None]
        x = layers.ResidualBlock(dtype=self.dtype)(x)
        for width, skip in zip(self.widths[-2::-1], skips[::-1], strict=True):
            x = layers.ConvBlock(width, dtype=self.dtype)(layers.upsample(across(x, width)) + across(skip, width))
            if width == self.widths[1]:
                x = layers.ResidualBlock(dtype=self.dtype)(x)
                joints = across(x, keypoints.NUM_JOINTS).astype(jnp.float32)
        logits = across(x, 4 * segmentation.NUM_LABELS).astype(jnp.float32)
        return {"segmentation": layers.depth_to_space(logits, 2), "joints": joints} | self._answers(whole)

    def _whole(self, x: jax.Array) -> jax.Array:
        """What is known of the whole picture [B, hidden], from its coarsest map."""
        x = nn.Conv(64, (1, 1), dtype=self.dtype, conv_general_dilated=layers.pointwise)(x)
        x = geometry.resize(nn.silu(x), _GRID).reshape(x.shape[0], -1)
        return nn.silu(nn.Dense(self.hidden, dtype=self.dtype)(x))

    def _answers(self, whole: jax.Array) -> dict[str, jax.Array]:
        whole = nn.silu(nn.Dense(self.hidden, dtype=self.dtype)(whole)).astype(jnp.float32)
        widths = {
            "outside": keypoints.NUM_JOINTS, "places": 2 * keypoints.NUM_JOINTS, "seen": keypoints.NUM_JOINTS,
            "kind": len(KINDS), "garment_type": len(TYPES), "sleeves": len(SLEEVES), "facing": 2,
        }  # fmt: skip
        found = {name: nn.Dense(width, name=name)(whole) for name, width in widths.items()}
        return found | {"places": found["places"].reshape(-1, keypoints.NUM_JOINTS, 2)}


@flax.struct.dataclass
class Truth:
    """What a picture shows, as far as it is known. Classes are indices, `UNKNOWN` where nobody has said."""

    segmentation: jax.Array  # uint8 [B, H, W], `segmentation.UNKNOWN` where not known
    keypoints: jax.Array  # [B, 18, 2] in pixels, beyond the picture too
    known: jax.Array  # bool [B, 18], whether a joint's place is
    seen: jax.Array  # bool [B, 18], whether a known joint is in sight
    kind: jax.Array  # int [B], of `KINDS`
    garment_type: jax.Array  # int [B], of `TYPES`, of a garment alone
    sleeves: jax.Array  # int [B], of `SLEEVES`, of the upper garment or dress in the picture
    facing: jax.Array  # [B, 2], (sin, cos); (0, 0) where not known


LOSS_WEIGHTS = {
    "segmentation": 1.0, "dice": 0.5, "joints": 0.05, "places": 0.5, "seen": 0.05, "kind": 0.2, "garment_type": 0.15,
    "sleeves": 0.1, "facing": 0.3,
}  # fmt: skip


def loss(outputs: dict, truth: Truth) -> dict:
    """{name of `LOSS_WEIGHTS`: a mean over what is known of it}."""
    known = truth.known.astype(jnp.float32)
    height, width = truth.segmentation.shape[1:]
    inside = known * _inside(truth.keypoints, (height, width))
    places = truth.keypoints / jnp.array([width, height])
    apart = jnp.clip(places, -1.0, 2.0) - outputs["places"]  # what lies farther away need not be told apart
    sure = jnp.sum(jnp.square(truth.facing), -1) > 0
    return losses.labels(outputs["segmentation"], truth.segmentation) | {
        "joints": _mean(_joints(outputs, truth, inside), known),
        "places": _mean(jnp.sqrt(jnp.sum(jnp.square(apart), -1) + 1e-4), known),
        "seen": _mean(_binary(outputs["seen"], truth.seen), inside),
        "kind": _classes(outputs["kind"], truth.kind),
        "garment_type": _classes(outputs["garment_type"], truth.garment_type),
        "sleeves": _classes(outputs["sleeves"], truth.sleeves),
        "facing": _mean(jnp.sum(jnp.square(outputs["facing"] - truth.facing), -1), sure.astype(jnp.float32)),
    }


def _mean(values: jax.Array, weights: jax.Array) -> jax.Array:
    return jnp.sum(values * weights) / jnp.maximum(jnp.sum(weights), 1.0)


def _inside(points: jax.Array, size: tuple[int, int]) -> jax.Array:
    at_most = jnp.array([size[1] - 0.5, size[0] - 0.5])
    return ((points >= -0.5) & (points < at_most)).all(-1).astype(jnp.float32)


def _binary(logits: jax.Array, truth: jax.Array) -> jax.Array:
    return jax.nn.softplus(jnp.where(truth, -logits, logits))


def _classes(logits: jax.Array, truth: jax.Array) -> jax.Array:
    """Cross-entropy [] of classes; `UNKNOWN` counts for nothing."""
    picked = jnp.take_along_axis(jax.nn.log_softmax(logits), jnp.maximum(truth, 0)[:, None].astype(jnp.int32), 1)[:, 0]
    return _mean(-picked, (truth >= 0).astype(jnp.float32))


def _joints(outputs: dict, truth: Truth, inside: jax.Array) -> jax.Array:
    """Cross-entropy [B, 18] of where each joint lies: in one place of its map, or outside."""
    count, rows, columns, joints = outputs["joints"].shape
    logits = outputs["joints"].reshape(count, rows * columns, joints)
    log_all = jax.nn.log_softmax(jnp.concatenate([logits, outputs["outside"][:, None]], 1), 1)
    points = keypoints.scale(truth.keypoints, truth.segmentation.shape[1:], (rows, columns))
    target = keypoints.pose_map(points, inside > 0, (rows, columns), SIGMA).reshape(count, rows * columns, joints)
    target = target / jnp.maximum(target.sum(1, keepdims=True), 1e-6)
    within = -jnp.sum(target * log_all[:, :-1], 1)
    return jnp.where(inside > 0, within, -log_all[:, -1])


def with_mirror_images(outputs: dict) -> dict:
    """Outputs [B] from those [2 B] of pictures and their mirror images behind them: a mean of what both say."""
    width = outputs["segmentation"].shape[2]
    swap = {
        "segmentation": lambda a: a[:, :, ::-1][..., segmentation.MIRROR],
        "joints": lambda a: a[:, :, ::-1][..., keypoints.MIRROR],
        "outside": lambda a: a[:, keypoints.MIRROR],
        "seen": lambda a: a[:, keypoints.MIRROR],
        "places": lambda a: a[:, keypoints.MIRROR] * jnp.array([-1, 1]) + jnp.array([1 - 1 / width, 0]),
        "facing": lambda a: a * jnp.array([-1, 1]),
    }
    found = {}
    for name, array in outputs.items():
        straight, mirrored = jnp.split(array, 2)
        found[name] = (straight + swap.get(name, lambda a: a)(mirrored)) / 2
    return found


@flax.struct.dataclass
class Read:
    """What ReaderCNN says of pictures. Probabilities are floats in [0, 1]."""

    labels: jax.Array  # probabilities [B, H, W, 18]
    keypoints: jax.Array  # [B, 18, 2] in pixels, beyond the picture too
    inside: jax.Array  # [B, 18], probability that a joint lies in the picture
    peak: jax.Array  # [B, 18], of a joint's map: the higher, the surer is its place
    seen: jax.Array  # [B, 18], probability that a joint that lies there is in sight
    kind: jax.Array  # [B, 3]
    garment_type: jax.Array  # [B, 3]
    sleeves: jax.Array  # [B, 4]
    facing: jax.Array  # [B, 2]


def read(outputs: dict, size: tuple[int, int]) -> Read:
    """What the outputs for pictures of `size` (height, width) say.

    A joint lies at the centre of mass around its map's peak, refined to a fraction of a pixel; where it is more
    probably outside, at `places`.
    """
    count, rows, columns, joints = outputs["joints"].shape
    logits = outputs["joints"].reshape(count, rows * columns, joints)
    all_of = jax.nn.softmax(jnp.concatenate([logits, outputs["outside"][:, None]], 1), 1)
    maps = all_of[:, :-1].reshape(count, rows, columns, joints)
    points, _, peak = keypoints.read_pose_map(maps, threshold=0.0, radius=2)
    points = keypoints.scale(points, (rows, columns), size)
    inside = 1 - all_of[:, -1]
    beyond = outputs["places"] * jnp.array([size[1], size[0]], jnp.float32)
    return Read(
        labels=jax.nn.softmax(outputs["segmentation"]),
        keypoints=jnp.where((inside > 0.5)[..., None], points, beyond),
        inside=inside,
        peak=peak,
        seen=jax.nn.sigmoid(outputs["seen"]),
        kind=jax.nn.softmax(outputs["kind"]),
        garment_type=jax.nn.softmax(outputs["garment_type"]),
        sleeves=jax.nn.softmax(outputs["sleeves"]),
        facing=outputs["facing"],
    )
