"""The user's head turned as the target's is: an ellipsoid, and the hair that stands out from it or hangs down.

Conventions: `Figure`: see body_parts.py; user and target are of one size. One frame.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import segmentation
from vton_jax.core.geometry import warp_nearest
from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.segmentation import FACE, HAIR, ID
from vton_jax.layout.body import PROPORTIONS
from vton_jax.layout.body_parts import Figure


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Chosen by eye on capsule mannequins."""

    # On the ellipsoid, in its half axes.
    nape: float = 0.4  # below its centre: where no hair hangs, it is bare
    face_ahead: float = 0.25  # ahead of its centre: what was not seen is face there
    brow: float = -0.45  # and below this
    seen: float = 0.12  # towards the camera: what was seen
    rim: float = 0.8  # squared radius within which the head has no hole
    # Hair as the user's picture shows it, in body heights about the head's centre: to the right, downwards.
    reach: float = 0.14  # beyond it hair is another's
    below_ears: tuple[float, float] = (0.05, 0.14)  # where its width is read
    lowest: float = 0.5  # that it hangs
    behind_shoulders: tuple[float, float] = (0.1, 0.17)  # hair that falls so far from the front falls that far behind
    hangs: float = 0.012  # half width from which on it hangs
    wide: float = 0.037  # half width from which on it hangs all around the back, else it is a tail
    # Hair that hangs, as the capsule mannequins' did: how far behind the ears its middle is, half its width and depth.
    wide_shape: tuple[float, float, float] = (0.035, 0.064, 0.048)
    tail_shape: tuple[float, float, float] = (0.076, 0.024, 0.024)
    top: float = -0.02
    shoulders: float = 0.105  # they hide it unless the person is seen from behind:
    from_behind: float = -0.15  # cosine
    neck: tuple[float, float] = (0.05, 0.036)  # from where on down the neck hides it, and half the neck's width
    bun: float = -0.06  # above it hair keeps its outline
    same_view: float = 0.85  # cosine between two views from which on the hair keeps its whole outline


THRESHOLDS = Thresholds()


def head_layer(user: Figure, target: Figure) -> jax.Array:
    """The user's hair and face turned as the target's head is: labels uint8 [H, W], background elsewhere.

    The head is an ellipsoid: each target pixel on it is turned to the user's view. What the user's picture hides is
    read from the other half of the head, since heads are symmetric; what both halves hide is hair behind and face in
    front. Hair that stands out from the ellipsoid follows the head's place and scale.
    """
    own, body, points, t = user.body, target.body, target.points, THRESHOLDS
    half = jnp.array([PROPORTIONS.head_half_width, PROPORTIONS.head_half_height])
    labels = jnp.asarray(user.layout.segmentation).astype(jnp.int32)
    head_bits = segmentation.bit_set(HAIR + FACE)
    labels = jnp.where(segmentation.in_bit_set(labels, head_bits), labels, 0)
    unit = (points - body.head) / (half * body.height)
    a, b = unit[..., 0], unit[..., 1]
    depth = jnp.sqrt(jnp.maximum(1 - a * a - b * b, 0))
    inside = a * a + b * b < 1
    (c, s), (user_c, user_s) = body.head_turn, own.head_turn
    left, front = a * c - depth * s, a * s + depth * c

    def read(left):
        across, towards = left * user_c + front * user_s, -left * user_s + front * user_c
        place = own.head + jnp.stack([across, b], -1) * half * own.height
        return warp_nearest(labels, place, 0), towards

    outer_hair, hangs = _outer_hair(labels, user, target)
    nape = (b > t.nape) & ~hangs
    guess = jnp.where(((front > t.face_ahead) & (b > t.brow)) | nape, ID["face"], ID["hair"])
    seen, towards = read(left)
    mirrored, mirrored_towards = read(-left)
    ball = jnp.where(mirrored_towards > t.seen, mirrored, 0)
    ball = jnp.where((towards > t.seen) & (seen > 0), seen, ball)
    # Heads smaller than the ellipsoid end before its rim.
    ball = jnp.where((ball == 0) & (a * a + b * b < t.rim), guess, ball)
    # No nose nor eye was seen: this is the back of a head.
    facing = body.visible[np.array([JOINTS["nose"], JOINTS["right-eye"], JOINTS["left-eye"]])].any()
    ball = jnp.where(segmentation.in_bit_set(ball, segmentation.bit_set(FACE)) & ~facing & ~nape, ID["hair"], ball)
    layer = jnp.where(inside, ball, 0)
    layer = jnp.where((layer == 0) & outer_hair, ID["hair"], layer)
    return layer.astype(jnp.uint8)


def _outer_hair(labels: jax.Array, user: Figure, target: Figure) -> tuple[jax.Array, jax.Array]:
    """Where hair stands out from the head's ellipsoid or hangs from it: mask [H, W]; whether it hangs low.

    Seen from nearly the user's side (or its mirror image), it is the user's own outline. Else it is modelled from two
    numbers read off the user's hair below the ears: how far down it reaches and whether it is wide (hangs all around
    the back) or narrow (a tail); above the head, a bun keeps its outline.
    """
    own, body, points, t = user.body, target.body, target.points, THRESHOLDS
    hair = segmentation.in_bit_set(labels, segmentation.bit_set(HAIR))
    relative = (points - body.head) / body.height
    x, y = relative[..., 0], relative[..., 1]
    (cosine, sine), (user_cosine, user_sine) = body.head_turn, own.head_turn
    same = cosine * user_cosine + sine * user_sine
    mirrored = cosine * user_cosine - sine * user_sine
    flip = jnp.where(mirrored > same, -1.0, 1.0)
    place = own.head + jnp.stack([flip * x, y], -1) * own.height
    outline = warp_nearest(hair, place, False)

    user_relative = (points - own.head) / own.height
    hair = hair & (jnp.abs(user_relative[..., 0]) < t.reach)
    u, w = user_relative[..., 0], user_relative[..., 1]
    below = hair & (w > t.below_ears[0]) & (w < t.below_ears[1])
    half_width = 0.5 * (jnp.where(below, u, -1).max(1) - jnp.where(below, u, 1).min(1)).max()
    lowest = jnp.where(hair & (w < t.lowest), w, 0).max()
    # From the front, shoulders hide how far long hair falls behind them.
    enough, least = t.behind_shoulders
    lowest = jnp.where((user_cosine > 0) & (lowest > enough), jnp.maximum(lowest, least), lowest)
    hangs, wide = half_width > t.hangs, half_width > t.wide
    back, left, depth = (jnp.where(wide, *pair) for pair in zip(t.wide_shape, t.tail_shape, strict=True))
    extent = jnp.sqrt(jnp.square(left * cosine) + jnp.square(depth * sine))
    hanging = hangs & (jnp.abs(x + back * sine) < extent) & (y > t.top) & (y < lowest)
    # Hair hangs behind neck and shoulders unless they are seen from behind.
    hanging &= (cosine <= t.from_behind) | (y < t.shoulders)
    hanging &= (cosine < 0) | (y < t.neck[0]) | (jnp.abs(x) > t.neck[1])
    modelled = hanging | (outline & (y < t.bun))
    return jnp.where(jnp.maximum(same, mirrored) > t.same_view, outline, modelled), wide & hangs
