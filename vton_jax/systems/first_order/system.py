"""FirstOrder as a whole: a photo is read and encoded once, and moved as driving frames move.

Conventions: see `protocol.py`; motions as in `motion.py`, of one frame without a leading axis.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import jax
import numpy as np

from vton_jax.core import programs
from vton_jax.core.errors import UserError
from vton_jax.core.framing import to_float
from vton_jax.models import weights
from vton_jax.models.first_order import FirstOrder
from vton_jax.models.weights import load_network
from vton_jax.reading.picture_reader import PictureReader
from vton_jax.systems.first_order import cropping, motion
from vton_jax.systems.first_order.protocol import Source

MOTIONS = motion.MODES


@programs.compiled(static=0)
def _encode(network: FirstOrder, params, picture: jax.Array):
    return network.apply(params, to_float(picture)[None], method="encode")


@programs.compiled(static=0)
def _detect(network: FirstOrder, params, picture: jax.Array) -> dict:
    found = network.apply(params, to_float(picture)[None], method="detect")
    return jax.tree.map(lambda a: a[0], found)


@programs.compiled(static=0)
def _move(network: FirstOrder, params, encoded, driving: dict) -> dict:
    found = network.apply(params, encoded, jax.tree.map(lambda a: a[None], driving), method="move")
    return {name: found[name][0] for name in ("offsets", "painted", "kept", "occlusion")}


@programs.compiled()
def _relative(encoded, driving: dict, reference: dict, scale: jax.Array) -> dict:
    own = jax.tree.map(lambda a: a[0], encoded["motion"])
    return motion.relative(own, driving, reference, scale)


class FirstOrderDriver:
    """Drives pictures with the released weights, or those of a folder.

    Args: folder: of other weights, `first_order_face.safetensors` and `first_order_body.safetensors`. mode: of
    `motion.MODES`. region: `auto`, `face` or `body`. paste_back: whether results are the whole photo, or its box alone.
    reader: of photos; default: made when it is first needed. Raises: UserError where weights are missing.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        mode: str = "relative",
        region: str = "auto",
        paste_back: bool = True,
        reader: PictureReader | None = None,
    ):
        if mode not in motion.MODES:
            raise UserError(f"A motion is one of {', '.join(motion.MODES)}, not {mode}.")
        self.mode, self.region, self.paste_back = mode, region, paste_back
        self._folder, self._reader, self._networks = folder, reader, {}

    @property
    def reader(self) -> PictureReader:
        if self._reader is None:
            self._reader = PictureReader()
        return self._reader

    def network(self, region: str) -> tuple[FirstOrder, dict]:
        """The network of a region and its parameters. Raises: UserError where it is missing, or another region's."""
        if region not in self._networks:
            path = weights.path_of(f"first_order_{region}", self._folder)
            network, params, _, settings = load_network("first_order", FirstOrder, path)
            if settings.get("region", region) != region:
                raise UserError(f"The weights {path} have learned a {settings['region']}, not a {region}.")
            self._networks[region] = network, params
        return self._networks[region]

    # ------------------------------------------------------------------------------------------------------- reading

    def read(self, photo: np.ndarray) -> Source:
        """See `protocol.Driver`. Raises: NoPersonFound."""
        box, region = cropping.find(self.reader, photo, self.region, "the source photo")
        return self.source_of(photo, box, region)

    def source_of(self, photo: np.ndarray, box: cropping.Box, region: str) -> Source:
        """The source whose box in a photo is known."""
        network, params = self.network(region)
        encoded = _encode(network, params, cropping.crop(photo, box))
        return Source(photo, box, region, encoded)

    def box_of_clip(self, frames: Sequence[np.ndarray], region: str) -> cropping.Box:
        """Where in all frames of a driving clip somebody is. Raises: NoPersonFound."""
        return cropping.find_in_clip(self.reader, frames, region)

    def detect(self, frame: np.ndarray, box: cropping.Box, region: str) -> dict:
        """The motion of a driving frame, NumPy arrays."""
        return jax.device_get(_detect(*self.network(region), cropping.crop(frame, box)))

    def own_motion(self, source: Source) -> dict:
        """The motion of the source itself."""
        return jax.device_get(jax.tree.map(lambda a: a[0], source.encoded["motion"]))

    # ------------------------------------------------------------------------------------------------------- driving

    def reference_among(self, source: Source, motions: dict) -> int:
        """Of driving motions [T, ...] the number of the one from which movement is told: most like the source's."""
        return motion.best_frame(self.own_motion(source), motions)

    def wanted(self, source: Source, driving: dict, reference: dict | None, scale: float = 1.0) -> dict:
        """The motion that the source should show. Args: reference, scale: of the relative mode; None: absolute."""
        if reference is None:
            return driving
        return _relative(source.encoded, driving, reference, np.float32(scale))

    def render(self, source: Source, wanted: dict) -> np.ndarray:
        """The source in a motion, uint8 [H, W, 3]."""
        maps = jax.device_get(_move(*self.network(source.region), source.encoded, wanted))
        if self.paste_back:
            return cropping.lay_back(source.photo, source.box, maps)
        return self._cut(source, cropping.lay_back(source.photo, source.box, maps, fade=False))

    def _cut(self, source: Source, picture: np.ndarray) -> np.ndarray:
        """The box of the photo alone, as far as it lies within."""
        left, top, side = source.box
        return picture[max(top, 0) : top + side, max(left, 0) : left + side]

    def replay(self, source: Source, motions: dict) -> Iterator[np.ndarray]:
        """The source as driving motions [T, ...] move."""
        reference, scale = self._reference(source, motions)
        for index in range(len(motions["points"])):
            yield self.render(source, self.wanted(source, _frame(motions, index), reference, scale))

    def _reference(self, source: Source, motions: dict) -> tuple[dict | None, float]:
        if self.mode == "absolute":
            return None, 1.0
        reference = _frame(motions, self.reference_among(source, motions))
        return reference, motion.scale_between(self.own_motion(source), reference)

    def motions(self, frames: Iterable[np.ndarray], region: str, box: cropping.Box | None = None) -> dict:
        """The motions [T, ...] of driving frames. Raises: NoPersonFound."""
        frames = list(frames) if box is None else frames
        box = self.box_of_clip(frames, region) if box is None else box
        found = [self.detect(frame, box, region) for frame in frames]
        return jax.tree.map(lambda *a: np.stack(a), *found)

    def drive(self, source: Source, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """See `protocol.Driver`. Each frame depends on the reference and itself alone, so that driving forward and
        backward from the best reference is the same as driving in the order of the frames."""
        return self.replay(source, self.motions(frames, source.region))


def _frame(motions: dict, index: int) -> dict:
    return jax.tree.map(lambda a: a[index], motions)
