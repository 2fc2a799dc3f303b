"""The parser of photos: the released ParserCNN behind the protocol `Parser`, at the photo's own resolution.

A photo is read at three sizes, each together with its mirror image, and the label probabilities are averaged. Whether a
pixel shows a person is decided before what it shows: labels that share an uncertain place would lose it to background.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import framing, geometry, segmentation
from vton_jax.core.batching import in_batches
from vton_jax.models import weights
from vton_jax.models.parser_cnn import ParserCNN
from vton_jax.reading import digest_of

_BATCH = 4
_OTHERS = ((192, 128), (320, 224))  # beside the size that was learned at: CCP's validation gains 0.003 of the person


@functools.partial(jax.jit, static_argnums=0)
def _read(network: ParserCNN, params, images: jax.Array) -> jax.Array:
    images = framing.to_float(images)
    both = jnp.concatenate([images, images[:, :, ::-1]])
    probabilities = jax.nn.softmax(network.apply(params, both)["segmentation"])
    straight, mirrored = jnp.split(probabilities, 2)
    probabilities = (straight + mirrored[:, :, ::-1][..., segmentation.MIRROR]) / 2
    return geometry.resize(probabilities, images.shape[1:3])


class PhotoParser:
    """Labels for photos and frames of any size, from a file of ParserCNN's weights (default: the released one)."""

    def __init__(self, path=None):
        path = path or weights.released("parser_cnn")
        self.name = f"PhotoParser-{digest_of(path)}"
        self.params, settings, _ = weights.load(path, "parser_cnn")
        self.sizes = tuple(sorted({tuple(settings["size"]), *_OTHERS}))
        self.network = ParserCNN(tuple(settings["widths"]))

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Images uint8 [T, H, W, 3], sides multiples of 32 -> label probabilities float32 [T, H, W, 18]."""
        return in_batches(lambda part: _read(self.network, self.params, part), images, _BATCH)

    def parse(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Parser`. Frames show one person about as tall as the frame; probabilities are enlarged, then decided."""
        labels, confidence = [], []
        for first in range(0, len(frames), _BATCH):
            chunk = frames[first : first + _BATCH]
            for probabilities in zip(*(self._enlarged(chunk, size) for size in self.sizes), strict=True):
                probabilities = np.mean(probabilities, 0)
                found = 1 + probabilities[..., 1:].argmax(-1)
                labels.append(np.where(probabilities[..., 0] > 0.5, 0, found).astype(np.uint8))
                person = labels[-1] > 0
                confidence.append(float((probabilities.max(-1) * person).sum() / max(person.sum(), 1)))
        return np.stack(labels), np.array(confidence, np.float32)

    def _enlarged(self, frames: np.ndarray, size: tuple[int, int]) -> list[np.ndarray]:
        """Label probabilities of frames as read at `size`, at the frames' own size."""
        fitted, places = zip(*(framing.fit(frame, size) for frame in frames), strict=True)
        read = zip(places, self.probabilities(np.stack(fitted)), strict=True)
        # OpenCV shrinks four channels at most.
        return [
            np.dstack([place.restore(a) for a in np.split(probabilities, (4, 8, 12, 16), -1)])
            for place, probabilities in read
        ]
