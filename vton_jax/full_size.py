"""Results larger than the networks: their flow and shares, applied to the photo and the garment at full size.

Alphabet: a canvas is the networks' size (height, width) times one factor, so that both show the same; pictures are
float [H, W, 3] in [0, 1]. What the networks paint is enlarged; what they copy, from the photo at its place, from
the photo along a flow (the head, and the garment that the user keeps) or from the donor's picture along the flow,
regains the detail that shrinking took. At the networks' own size nothing changes.
"""

from collections.abc import Iterable, Iterator

import jax
import numpy as np

from vton_jax import framing, geometry, segmentation, staging, try_on


def canvas_for(
    network: tuple[int, int], output: tuple[int, int] | None, photo: tuple[int, int], share: float = 1.0
) -> tuple[int, int]:
    """The canvas for an output size, the largest within it; for None, one that holds the photo pixel by pixel.

    share: of the canvas that the output shows (`framing.fit`).
    """
    pick, size = (min, output) if output else (max, photo)
    factor = max(1.0, pick(size[0] / network[0], size[1] / network[1]) / share)
    return round(network[0] * factor), round(network[1] * factor)


def dress_picture(donor: try_on.Donor, garment: np.ndarray) -> np.ndarray:
    """The garment's picture on the canvas, uint8 [H, W, 3], with everything but the garment white."""
    kind = segmentation.GARMENT_TYPES[int(donor.garment_type)]
    mask = segmentation.region(np.asarray(donor.layout.segmentation), segmentation.GARMENT_LABELS[kind])
    mask = framing.resize(mask.astype(np.float32), garment.shape[:2])[..., None]
    return 1 - mask * (1 - garment.astype(np.float32) / 255)


@jax.jit
def enlarge(
    image: jax.Array,
    result: try_on.Dressed,
    photo: tuple[jax.Array, jax.Array],
    dress: tuple[jax.Array, jax.Array],
) -> jax.Array:
    """One frame at the canvas's size. Differentiable in nothing: it is for pictures.

    Args: image: [h, w, 3], the result, perhaps filtered over time. result: where its pixels come from. photo, dress:
    each a pair, at the networks' size and at the canvas's.
    """
    size = photo[1].shape[:2]
    grow = lambda a: geometry.resize(a, size)  # noqa: E731
    large = lambda flow: geometry.resize_flow(flow, size)  # noqa: E731
    moved = lambda pair, flow: geometry.warp(pair[1], large(flow)) - grow(geometry.warp(pair[0], flow))  # noqa: E731
    details = {
        "photo_share": photo[1] - grow(photo[0]),
        "moved_share": moved(photo, result.photo_flow),
        "dress_share": moved(dress, result.flow),
    }
    shares = {name: grow(getattr(result, name)[..., None]) for name in details}
    return (grow(image) + sum(shares[name] * detail for name, detail in details.items())).clip(0, 1)


class Views:
    """A photo and a garment's picture, uint8, on their stage at the networks' size and at the canvas's.

    Args: network: the networks' size. size: of the fitted photo, as which results are shown; a multiple of `network`.
    Attributes: `person` and `garment`, uint8 [H, W, 3] of the networks' size.
    """

    def __init__(
        self,
        stage: staging.Stage,
        photo: np.ndarray,
        garment: np.ndarray,
        network: tuple[int, int],
        size: tuple[int, int],
    ):
        self.place, self.photo, self.size = stage.person, photo, size
        # What is shrunk to be read is put back enlarged: then it is worth a canvas of its own.
        canvas = canvas_for(network, size, size, min(stage.person.scale, 1.0))
        self._canvases = stage.person.bring(photo, canvas), stage.garment.bring(garment, canvas)
        # The networks see the shrunk canvas itself, so that both show the same to a fraction of a pixel.
        self.person, self.garment = (framing.resize(one, network) for one in self._canvases)

    def show(self, frames: np.ndarray, results: Iterable[try_on.Result], donor: try_on.Donor) -> Iterator[np.ndarray]:
        """Frames [T, h, w, 3] of the networks' size -> the same at `size`, put back into the photo: float [H, W, 3].

        Args: frames: pictures of the results, perhaps filtered over time. donor: read from `garment`.
        """
        canvas = self._canvases[0].shape[:2]
        photos = self.person.astype(np.float32) / 255, self._canvases[0].astype(np.float32) / 255
        dresses = donor.image, dress_picture(donor, self._canvases[1])
        fitted = framing.fit(self.photo, canvas)[0].astype(np.float32) / 255
        for frame, result in zip(frames, results, strict=True):
            if canvas != self.person.shape[:2]:
                frame = np.asarray(enlarge(frame, result.dressed, photos, dresses))
            if self.place != staging.Place():
                frame = framing.resize(self.place.put_back(frame, fitted), self.size)
            yield frame
