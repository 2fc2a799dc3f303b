"""Examples of random numbers as `cached_examples` keeps them, for the tests of what reads them."""

import numpy as np

from vton_jax.core import segmentation

H, W = 32, 24


def example(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = lambda *lead: rng.integers(0, segmentation.NUM_LABELS, (*lead, H, W)).astype(np.uint8)  # noqa: E731
    small = (H // 4, W // 4)
    return {
        **{
            f"{n}_image": rng.integers(0, 256, (count, 1, H, W, 3)).astype(np.uint8)
            for n in ("input", "dress", "output")
        },
        **{f"{n}_segmentation": labels(count, 1) for n in ("input", "dress", "output")},
        "guides": labels(count, 1, 2),
        "target_keypoints": rng.random((count, 1, 2, 18, 2)).astype(np.float32) * W,
        "target_visible": rng.random((count, 1, 2, 18)) < 0.7,
        "donor_keypoints": rng.random((count, 1, 18, 2)).astype(np.float32) * W,
        "donor_visible": rng.random((count, 1, 18)) < 0.7,
        "flow": rng.normal(size=(count, 1, *small, 2)).astype(np.float16),
        "flow_visible": rng.random((count, 1, *small)).astype(np.float32),
        "garment_type": np.arange(count, dtype=np.int32)[:, None] % 2,
        "donor_flat": rng.random((count, 1)) < 0.5,
    }
