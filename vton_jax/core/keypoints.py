"""Keypoints: the joint table, mirroring, pose maps and back.

Conventions: keypoints are [..., 18, 2] floats, `(x, y)` in pixels, the top-left pixel's centre at (0, 0), in OpenPose's
COCO-18 order; `visible` is bool [..., 18]. A missing joint is (0, 0) and False. Left and right are the person's own.
A pose map is [..., H, W, 18], one Gaussian bump of height 1 a visible joint; it is derived on device, never stored.
"""

import jax
import jax.numpy as jnp
import numpy as np

JOINTS = (
    "nose", "neck", "right-shoulder", "right-elbow", "right-wrist", "left-shoulder", "left-elbow", "left-wrist",
    "right-hip", "right-knee", "right-ankle", "left-hip", "left-knee", "left-ankle", "right-eye", "left-eye",
    "right-ear", "left-ear",
)  # fmt: skip
NUM_JOINTS = len(JOINTS)
ID = {name: index for index, name in enumerate(JOINTS)}
MIRROR = np.array(
    [ID[n.replace("left", "#").replace("right", "left").replace("#", "right")] for n in JOINTS], dtype=np.int32
)
BONES = tuple(
    (ID[a], ID[b])
    for a, b in (
        ("neck", "right-shoulder"), ("right-shoulder", "right-elbow"), ("right-elbow", "right-wrist"),
        ("neck", "left-shoulder"), ("left-shoulder", "left-elbow"), ("left-elbow", "left-wrist"),
        ("neck", "right-hip"), ("right-hip", "right-knee"), ("right-knee", "right-ankle"),
        ("neck", "left-hip"), ("left-hip", "left-knee"), ("left-knee", "left-ankle"),
        ("neck", "nose"), ("nose", "right-eye"), ("right-eye", "right-ear"), ("nose", "left-eye"),
        ("left-eye", "left-ear"),
    )
)  # fmt: skip


def mirror(keypoints: np.ndarray, visible: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Mirrors keypoints [..., 18, 2] left to right in an image of `width` and exchanges left and right joints."""
    keypoints = np.asarray(keypoints)[..., MIRROR, :].copy()
    visible = np.asarray(visible)[..., MIRROR]
    keypoints[..., 0] = np.where(visible, width - 1 - keypoints[..., 0], 0)
    return keypoints, visible


def scale(keypoints, from_size: tuple[int, int], to_size: tuple[int, int]):
    """Keypoints [..., 2] of an image of `from_size` (height, width) in the same image resized to `to_size`.

    Pixel centres: resizing by s moves x to (x + 0.5) s - 0.5.
    """
    factor = np.array([to_size[1] / from_size[1], to_size[0] / from_size[0]], dtype=np.float32)
    return (keypoints + 0.5) * factor - 0.5


def pose_map(keypoints: jax.Array, visible: jax.Array, size: tuple[int, int], sigma: float) -> jax.Array:
    """Keypoints [..., 18, 2] and visible [..., 18] -> Gaussian bumps [..., H, W, 18] with `sigma` in pixels."""
    height, width = size
    x = jnp.exp(-0.5 * jnp.square((jnp.arange(width) - keypoints[..., 0:1]) / sigma))
    y = jnp.exp(-0.5 * jnp.square((jnp.arange(height) - keypoints[..., 1:2]) / sigma))
    x = x * visible[..., None]
    return jnp.einsum("...jh,...jw->...hwj", y, x)


def read_pose_map(maps: jax.Array, threshold: float = 0.25, radius: int = 3) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Pose map [..., H, W, J] -> keypoints [..., J, 2], visible [..., J], confidence [..., J].

    The peak of each map, refined to a fraction of a pixel by the centre of mass within `radius` pixels of the peak.
    A joint whose peak stays below `threshold` is missing: (0, 0) and False.
    """
    height, width, joints = maps.shape[-3:]
    flat = maps.reshape(maps.shape[:-3] + (height * width, joints))
    peak = jnp.argmax(flat, axis=-2)
    confidence = jnp.max(flat, axis=-2)
    peak_x, peak_y = peak % width, peak // width
    near_x = jnp.abs(jnp.arange(width) - peak_x[..., None]) <= radius  # [..., J, W]
    near_y = jnp.abs(jnp.arange(height) - peak_y[..., None]) <= radius
    weights = jnp.clip(maps, 0, None)
    columns = jnp.einsum("...hwj,...jh->...jw", weights, near_y.astype(maps.dtype)) * near_x
    rows = jnp.einsum("...hwj,...jw->...jh", weights, near_x.astype(maps.dtype)) * near_y
    mass = jnp.maximum(columns.sum(-1), 1e-6)
    x = (columns * jnp.arange(width)).sum(-1) / mass
    y = (rows * jnp.arange(height)).sum(-1) / mass
    visible = confidence >= threshold
    return jnp.where(visible[..., None], jnp.stack([x, y], axis=-1), 0.0), visible, confidence


def person_height(keypoints: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Rough height of a person in pixels [...]: the vertical extent of the visible joints, over 0.88.

    From the nose (or eyes) down to the ankles lies 0.88 of a standing person.
    """
    y = np.asarray(keypoints)[..., 1]
    top = np.where(visible, y, np.inf).min(-1)
    bottom = np.where(visible, y, -np.inf).max(-1)
    return np.maximum(np.where(np.isfinite(bottom - top), bottom - top, 1.0) / 0.88, 1.0)


_HEAD_SIDE, _HEAD_DOWN = 1.55, 0.12  # of a head's frame, and how far below the eyes its middle lies; of eyes to neck
_LEAST_FACE = 0.9  # of the ears' distance: how near to the neck the eyes come when somebody nods


def head_box(joints: np.ndarray) -> np.ndarray:
    """A square around a head with its shoulders' beginning, from joints [18, 2]: (left, top, right, bottom) in pixels.

    As large as eyes are far from the neck, which hardly changes when a head turns. All head joints should be known,
    within the picture or not; the neck's is the middle of the shoulders.
    """
    joints = np.asarray(joints, float)
    eyes = (joints[ID["left-eye"]] + joints[ID["right-eye"]]) / 2
    ears = np.linalg.norm(joints[ID["left-ear"]] - joints[ID["right-ear"]])
    reach = max(float(np.linalg.norm(eyes - joints[ID["neck"]])), _LEAST_FACE * float(ears), 1.0)
    middle, half = eyes + [0, _HEAD_DOWN * reach], _HEAD_SIDE * reach / 2
    return np.array([middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half])
