"""ReaderCNN behind plain functions: what any picture shows, found first in the whole of it, then read in a crop.

It is also what annotates raw photos and clips by default: `PictureReader` is a `PoseEstimator` and a `Parser`
(`vton_jax.reading`).

Conventions: pictures are uint8 [H, W, 3] of any size; boxes are (left, top, right, bottom) in pixels of a picture's
edges and may reach beyond it. Places (x, y) are in pixels of the picture as given, beyond it too.
"""

import dataclasses
import functools

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import framing, keypoints, programs
from vton_jax.core.batching import in_batches
from vton_jax.core.segmentation import DRESS, ID, LOWER, UPPER
from vton_jax.core.types import Layout
from vton_jax.models import reader_cnn, weights
from vton_jax.models.reader_cnn import KINDS, SLEEVES, TYPES, ReaderCNN
from vton_jax.reading import digest_of, edges, outlines
from vton_jax.reading.person_crop import crop_to, widened, windows
from vton_jax.reading.pieces import absorbed

_WAY = 3  # of reading with the same weights: annotations made in another way are others
MAX_SIDE = 1024  # of pictures that are only looked at: the network sees less
_AT_ONCE = 16  # frames of a clip whose probabilities are in memory
_OTHERS = ((320, 256), (448, 352))  # beside the size that was learned at, where a picture is read at several
_MARGIN = 0.08  # of the larger side of what was found, around it in the crop
_LEAST = 0.004  # of a picture: less is too small to be looked at again
_CLOSE = 0.01  # of a picture's longer side: what lies so close to a piece belongs to it
_SHOULDERS = tuple(keypoints.ID[name] for name in ("neck", "left-shoulder", "right-shoulder"))
_HEAD = tuple(keypoints.ID[name] for name in ("nose", "neck", "left-eye", "right-eye", "left-ear", "right-ear"))
_WRISTS = {keypoints.ID[f"{side}-wrist"]: ID[f"{side}-arm"] for side in ("left", "right")}
_ANOTHER = 0.25  # of the largest person's pixels: who has so many is another person, not a part of one
_SURE = 0.5  # probability from which a pixel shows something


# A look takes a second and more to compile for each size: so all have a program for one picture in common, and one by
# one pictures are seen nearly as fast as together.


@programs.compiled(static=0)
def _look(network: ReaderCNN, params, picture: jax.Array) -> dict[str, jax.Array]:
    """ReaderCNN's outputs for a picture [1, H, W, 3]."""
    return network.apply(params, framing.to_float(picture))


@programs.compiled(many_steps=True)
def _read(out: dict, turned: dict, mirrored: jax.Array) -> reader_cnn.Read:
    """What outputs for a picture say; `mirrored`: together with those for its mirror image."""
    both = _mean(out, turned)
    out = {name: jnp.where(mirrored, both[name], one) for name, one in out.items()}
    return reader_cnn.read(out, out["segmentation"].shape[1:3])


@programs.compiled()
def _labels(out: dict, turned: dict) -> jax.Array:
    """`_read(...).labels` alone, of a picture and its mirror image."""
    return jax.nn.softmax(_mean(out, turned)["segmentation"])


def _mean(out: dict, turned: dict) -> dict:
    return reader_cnn.with_mirror_images(jax.tree.map(lambda *a: jnp.concatenate(a), out, turned))


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a picture shows. Probabilities are floats in [0, 1]."""

    kind: np.ndarray  # [3], of `reader_cnn.KINDS`
    labels: np.ndarray  # probabilities float32 [H, W, 18]
    keypoints: np.ndarray  # [18, 2]
    inside: np.ndarray  # [18], that a joint lies within what was looked at
    peak: np.ndarray  # [18], of a joint's map: the higher, the surer is its place
    seen: np.ndarray  # [18], that it is in sight
    garment_type: np.ndarray  # [3], of `reader_cnn.TYPES`
    sleeves: np.ndarray  # [4], of `reader_cnn.SLEEVES`
    facing: np.ndarray  # [2], (sin, cos) of the turn to the picture's right, the shorter the less is known
    others: int = 0  # how many people there are besides, as far as they stand apart
    picture: np.ndarray | None = None  # uint8 [H, W, 3], what was looked at
    thorough: bool = False  # whether stray pieces of labels are worth looking for

    @property
    def is_a(self) -> str:
        """One of `reader_cnn.KINDS`."""
        return KINDS[int(self.kind.argmax())]

    @property
    def type(self) -> str:
        return TYPES[int(self.types.argmax())]

    @property
    def types(self) -> np.ndarray:
        """Probabilities [3] of `reader_cnn.TYPES`: a mean of what the network answers and of what its labels say, which
        is surer of what is right than either (docs/reading.md).
        """
        mass = np.array([self.labels[..., list(of)].sum() for of in (UPPER, LOWER, DRESS)])
        return (self.garment_type + mass / max(float(mass.sum()), 1e-6)) / 2

    @property
    def sleeve_class(self) -> str:
        return SLEEVES[int(self.sleeves.argmax())]

    @functools.cached_property
    def segmentation(self) -> np.ndarray:
        """Labels uint8 [H, W]: first whether a pixel shows something, then what."""
        found = 1 + self.labels[..., 1:].argmax(-1)
        found = np.where(self.labels[..., 0] > _SURE, 0, found).astype(np.uint8)
        return absorbed(found, self.labels) if self.thorough else found

    @functools.cached_property
    def cut_out(self) -> np.ndarray:
        """The mask bool [H, W] of a garment that lies alone, as one piece."""
        if self.picture is None:
            return outlines.one_piece(self.labels[..., 0] < 1 - _SURE)
        return outlines.cut_out(self.picture, 1 - self.labels[..., 0], legs=self.type == "lower")


class PictureReader:
    """Reads pictures with a file of ReaderCNN's weights (default: the released one)."""

    threshold = 0.5  # of a joint's confidence, from which it is visible: more likely than not

    def __init__(self, path=None):
        path = path or weights.released("reader_cnn")
        self.name = f"PictureReader-{_WAY}-{digest_of(path)}"
        self._params, settings, _ = weights.load(path, "reader_cnn")
        self.size: tuple[int, int] = tuple(settings["size"])
        self.sizes = tuple(sorted({self.size, *_OTHERS}))
        self._network = ReaderCNN(tuple(settings["widths"]), settings["hidden"])

    def frames(self, frames: np.ndarray, *, mirrored: bool = False) -> reader_cnn.Read:
        """What frames [T, H, W, 3] of one size, sides multiples of 32, show, as they are: one pass, [T] of all."""
        looks = lambda frame: _read(*self._looks(frame, mirrored), np.bool_(mirrored))  # noqa: E731
        return in_batches(looks, np.asarray(frames), 1)

    def mirrored_labels(self, frame: np.ndarray) -> np.ndarray:
        """The label probabilities [H, W, 18] alone of a frame [H, W, 3] together with its mirror image."""
        return np.asarray(_labels(*self._looks(frame[None])))[0]

    def _looks(self, frame: np.ndarray, mirrored: bool = True) -> tuple[dict, dict]:
        """The outputs for a frame [1, H, W, 3], and for its mirror image, unless that does not count."""
        out = _look(self._network, self._params, frame)
        turned = np.ascontiguousarray(frame[:, :, ::-1])
        return out, _look(self._network, self._params, turned) if mirrored else out

    def rehearse(self) -> None:
        """Calls all programs that reading takes, on nothing, see `programs.rehearse`."""
        for size in self.sizes:
            looks = self._looks(np.zeros((1, *size, 3), np.uint8))
            _labels(*looks) if size in _OTHERS else _read(*looks, np.bool_(True))

    def read(self, picture: np.ndarray, *, thorough: bool = True) -> Seen:
        """What a picture shows: looked at whole, then the largest thing in it again, in a crop of its own.

        Args: thorough: at several sizes, each with its mirror image, of which labels are a mean, then brought to the
        picture's edges, and without stray pieces; else once.
        """
        looks = [
            self._at(picture, crop_to(picture, box, self.size), mirrored=thorough)
            for box in windows(picture.shape[:2], self.size)
        ]
        # Of the parts of a wide picture the one counts that sees shoulders best: where nobody is, background becomes
        # cloth before it becomes a body.
        first = [looks[0], *([max(looks[1:], key=_shoulders)] if looks[1:] else [])]
        closer = [self._closer(picture, box_of(look.segmentation > 0), mirrored=thorough) for look in first]
        found, box = max((one for one in closer if one), key=lambda one: _shoulders(one[0]), default=(looks[0], None))
        if thorough and box is not None:
            labels = np.mean([found.labels, *(self._labels_at(picture, box, size) for size in _OTHERS)], 0)
            if found.is_a != "garment":  # which `Seen.cut_out` cuts out by its colours
                labels = edges.sharpened(picture, labels)
            found = dataclasses.replace(found, labels=labels)
        thorough &= found.is_a == "person"
        found = dataclasses.replace(found, picture=picture, thorough=thorough)
        return dataclasses.replace(found, others=_others(looks, found.segmentation > 0))

    def _closer(self, picture: np.ndarray, box: np.ndarray | None, *, mirrored: bool) -> tuple[Seen, np.ndarray] | None:
        """What a crop around a box shows, and the crop's own box; None without one."""
        if box is None:
            return None
        found = self._in(picture, box, mirrored=mirrored)
        again = box_of(found.segmentation > 0)
        if again is not None and _apart(box, again):  # the first look missed a part of it
            return self._in(picture, again, mirrored=mirrored), again
        return found, box

    def layouts(self, frames: np.ndarray) -> Layout:
        """What frames [T, H, W, 3] show, in one pass each; labels are of everybody; `clip_following` parts them."""
        # A few at a time: probabilities take 25 times the memory of labels.
        parts = [self._layouts(frames[first : first + _AT_ONCE]) for first in range(0, len(frames), _AT_ONCE)]
        return jax.tree.map(lambda *a: np.concatenate(a), *parts)

    def _layouts(self, frames: np.ndarray) -> Layout:
        found = self.frames(frames)
        visible = (found.inside > _SURE) & (found.seen > _SURE)
        labels = np.where(found.labels[..., 0] > _SURE, 0, 1 + found.labels[..., 1:].argmax(-1))
        labels = labels * (found.kind.argmax(-1) == KINDS.index("person"))[:, None, None]
        return Layout(labels.astype(np.uint8), np.where(visible[..., None], found.keypoints, 0), visible)

    def estimate(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `PoseEstimator`. A joint is as sure as a person, in whom it is within the picture and in sight."""
        each = [self.read(frame, thorough=False) for frame in frames]
        person = KINDS.index("person")
        confidence = [found.kind[person] * found.inside * found.seen for found in each]
        return np.stack([found.keypoints for found in each]).astype(np.float32), np.float32(confidence)

    def parse(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Parser`; thoroughly."""
        labels, confidence = [], []
        for frame in frames:
            found = self.read(frame)
            labels.append(found.segmentation)
            person = labels[-1] > 0
            confidence.append(float((found.labels.max(-1) * person).sum() / max(person.sum(), 1)))
        return np.stack(labels), np.float32(confidence)

    def _in(self, picture: np.ndarray, box: np.ndarray, *, mirrored: bool) -> Seen:
        return self._at(picture, crop_to(picture, widened(box, self.size, _MARGIN), self.size), mirrored=mirrored)

    def _at(self, picture: np.ndarray, fitted: tuple[np.ndarray, framing.Placement], *, mirrored: bool) -> Seen:
        crop, place = fitted
        read = jax.tree.map(lambda a: a[0], self.frames(crop[None], mirrored=mirrored))
        return Seen(
            read.kind, _restored(read.labels, place, picture.shape[:2]), place.restore_points(read.keypoints),
            read.inside, read.peak, read.seen, read.garment_type, read.sleeves, read.facing,
        )  # fmt: skip

    def _labels_at(self, picture: np.ndarray, box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """The label probabilities alone, by a crop of another size."""
        crop, place = crop_to(picture, widened(box, size, _MARGIN), size)
        return _restored(self.mirrored_labels(crop), place, picture.shape[:2])


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities [.., C] as logits divided by a temperature give them: above 1 less sure, in the same order."""
    powers = np.maximum(probabilities, 1e-12) ** (1 / temperature)
    return powers / powers.sum(-1, keepdims=True)


def layout_of(found: Seen, kinds: tuple[str, ...] = ("person",)) -> Layout:
    """The layout of the largest person in a picture; nothing where the picture is of none of `kinds`."""
    visible = (found.inside > _SURE) & (found.seen > _SURE)
    labels = _of_one(found.segmentation) * np.uint8(found.is_a in kinds)
    labels = _faces_of_heads(labels, found.keypoints, visible)
    return Layout(labels, np.where(visible[:, None], found.keypoints, 0).astype(np.float32), visible)


def _faces_of_heads(labels: np.ndarray, points: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Labels uint8 [H, W] whose faces are no hands: a piece of a face that lies nearer to a wrist than to the head is
    that arm's. Args: points [18, 2], visible bool [18]: joints.
    """
    head, wrists = [joint for joint in _HEAD if visible[joint]], [joint for joint in _WRISTS if visible[joint]]
    if not head or not wrists:
        return labels
    _, pieces, _, middles = cv2.connectedComponentsWithStats(np.uint8(labels == ID["face"]))
    labels = labels.copy()
    for number, middle in enumerate(middles[1:], 1):
        far = {joint: np.linalg.norm(points[joint] - middle) for joint in (*head, *wrists)}
        nearest = min(far, key=far.get)
        if nearest in _WRISTS:
            labels[pieces == number] = _WRISTS[nearest]
    return labels


def _restored(labels: np.ndarray, place: framing.Placement, size: tuple[int, int]) -> np.ndarray:
    """Label probabilities of a crop [h, w, 18] where they lie in the picture [H, W, 18]; background beyond the crop."""
    matrix = np.float32([[1, 0, 0], [0, 1, 0]])
    corners = place.points(np.float32([[0, 0], [1, 0], [0, 1]]))
    matrix[:, 0], matrix[:, 1], matrix[:, 2] = corners[1] - corners[0], corners[2] - corners[0], corners[0]
    step = float(matrix[0, 0])
    parts = []
    for first in range(0, labels.shape[-1], 4):  # OpenCV moves four channels at once
        part = np.ascontiguousarray(labels[..., first : first + 4])
        border = (1.0, 0, 0, 0) if first == 0 else (0, 0, 0, 0)
        if step > 1.5:  # the picture is smaller than the crop
            part = cv2.GaussianBlur(part, (0, 0), 0.4 * step)
        part = cv2.warpAffine(part, matrix, size[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                              borderMode=cv2.BORDER_CONSTANT, borderValue=border)  # fmt: skip
        parts.append(part.reshape(*size, -1))
    return np.concatenate(parts, -1)


def pieces_of(there: np.ndarray) -> list[np.ndarray]:
    """The pieces of a mask [H, W], the largest first: bool [H, W] each, with what lies close to it; tiny ones not."""
    mask = there.astype(np.uint8)
    reach = 2 * round(_CLOSE * max(mask.shape)) + 1
    count, pieces = cv2.connectedComponents(cv2.dilate(mask, np.ones((reach, reach), np.uint8)))
    areas = np.bincount(pieces.ravel(), weights=mask.ravel(), minlength=count)
    areas[0] = 0
    return [(pieces == n) & there for n in np.argsort(-areas, kind="stable") if areas[n] >= _LEAST * mask.size]


def box_of(there: np.ndarray) -> np.ndarray | None:
    """The box [4] of the largest piece of a mask [H, W]; None where it is tiny."""
    for piece in pieces_of(there):
        row, column = np.nonzero(piece)
        return np.array([column.min(), row.min(), column.max() + 1, row.max() + 1], float)
    return None


def _shoulders(seen: Seen) -> float:
    """How surely neck and shoulders were found."""
    return float(seen.peak[list(_SHOULDERS)].mean())


def _others(looks: list[Seen], own: np.ndarray) -> int:
    """How many people looks show beside the one whose pixels are `own`, bool [H, W]. Looks that see shoulders less than
    half as surely as the surest show background.
    """
    least = 0.5 * max(map(_shoulders, looks))
    people = [look.segmentation > 0 for look in looks if look.is_a == "person" and _shoulders(look) >= least]
    reach = 2 * round(3 * _CLOSE * max(own.shape)) + 1
    around = cv2.dilate(own.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    there = np.any(people, 0) & ~around if people else np.zeros_like(own)
    return sum(int(piece.sum()) > _ANOTHER * own.sum() for piece in pieces_of(there))


def _apart(one: np.ndarray, two: np.ndarray) -> bool:
    """Whether a side of two boxes lies apart by more than the crop's margin."""
    return bool(np.abs(one - two).max() > _MARGIN * max(one[2] - one[0], one[3] - one[1]))


def _of_one(labels: np.ndarray) -> np.ndarray:
    """Labels uint8 [H, W] of the largest person alone."""
    pieces = pieces_of(labels > 0)
    return labels * pieces[0] if pieces else np.zeros_like(labels)
