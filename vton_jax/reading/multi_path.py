"""The default for poses, which needs no download, and for the parse of mannequins: the released MultiPathCNN.

It was trained on procedural mannequins alone, so on real frames its parse is weak (docs/datasets.md gives numbers); a
pose model's file or another parser replaces it. Batches have one shape: one compiled program serves all videos.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import framing, geometry
from vton_jax.core.batching import in_batches
from vton_jax.models import multi_path_cnn, weights
from vton_jax.models.multi_path_cnn import MultiPathCNN
from vton_jax.reading import digest_of
from vton_jax.reading.person_crop import crop_boxes, crop_to, windows

_BATCH = 8


@functools.partial(jax.jit, static_argnums=0)
def _read(network: MultiPathCNN, params, images: jax.Array) -> tuple[jax.Array, ...]:
    out = network.apply(params, framing.to_float(images))
    layout, confidence = multi_path_cnn.read(out, network.size, threshold=0.0)
    certainty = jax.nn.softmax(geometry.resize(out["segmentation"], network.size)).max(-1)
    return layout.keypoints, jnp.clip(confidence, 0, 1), layout.segmentation, certainty


class MultiPath:
    """Pose estimator and parser in one, from a file of MultiPathCNN's weights (default: the released one)."""

    threshold = 0.25  # of a pose map's peak, as in `multi_path_cnn.read`

    def __init__(self, path=None):
        path = path or weights.released("multi_path_cnn")
        self.name = f"MultiPath-{digest_of(path)}"
        self._params, settings, _ = weights.load(path, "multi_path_cnn")
        self.size = tuple(settings["size"])
        self._network = MultiPathCNN(self.size, settings["latent_size"])

    def _in_batches(self, images: np.ndarray):
        """All outputs for images [T] of the network's size, in batches of one shape."""
        return in_batches(lambda part: _read(self._network, self._params, part), images, _BATCH, full=True)

    def estimate(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `PoseEstimator`: a first look at windows of the frames, a second one at the person found in the best."""
        looks = [[crop_to(frame, box, self.size) for box in windows(frame.shape[:2], self.size)] for frame in frames]
        found, certain, _, _ = self._in_batches(np.stack([image for look in looks for image, _ in look]))
        count = len(looks[0])
        certain = certain.reshape(len(frames), count, -1)
        best = certain.mean(2).argmax(1)
        each = np.arange(len(frames))
        confidence, found = certain[each, best], found.reshape(len(frames), count, -1, 2)[each, best]
        points = np.stack([look[k][1].restore_points(p) for look, k, p in zip(looks, best, found, strict=True)])
        boxes = crop_boxes(points, confidence >= self.threshold, self.size)
        usable = np.isfinite(boxes).all(1)
        if usable.any():
            crops = np.stack([crop_to(frames[i], boxes[i], self.size)[0] for i in np.flatnonzero(usable)])
            again, certain, _, _ = self._in_batches(crops)
            for i, p, c in zip(np.flatnonzero(usable), again, certain, strict=True):
                _, place = crop_to(frames[i], boxes[i], self.size)
                points[i], confidence[i] = place.restore_points(p), c
        return points.astype(np.float32), confidence.astype(np.float32)

    def parse(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Parser`. The frames should be framed like the catalogue's: one person, whole, filling the height."""
        fitted = [framing.fit(frame, self.size) for frame in frames]
        _, _, labels, certainty = self._in_batches(np.stack([image for image, _ in fitted]))
        person = labels > 0
        confidence = (certainty * person).sum((1, 2)) / np.maximum(person.sum((1, 2)), 1)
        restored = [place.restore(one, nearest=True) for (_, place), one in zip(fitted, labels, strict=True)]
        return np.stack(restored), confidence.astype(np.float32)
