"""The networks of a try-on as functions of plain arrays, with what their inputs and outputs mean: for other programs.

Conventions: arrays are float32 with a leading axis of examples, whose shapes here leave that axis out; pictures are RGB
in [0, 1]; label maps have the 18 channels of `segmentation.LABELS`, joint maps those of `keypoints.JOINTS`.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np

from vton_jax.core import keypoints, segmentation
from vton_jax.layout import inversion
from vton_jax.models import latent_prior_cnn, layout_refinement_cnn, weights
from vton_jax.models.latent_prior_cnn import LatentPriorCNN
from vton_jax.models.layout_refinement_cnn import LayoutRefinementCNN
from vton_jax.models.multi_path_cnn import MultiPathCNN
from vton_jax.models.re_map_cnn import ReMapCNN
from vton_jax.models.reader_cnn import ReaderCNN
from vton_jax.models.shading_cnn import ShadingCNN
from vton_jax.models.triple_guided_cnn import TripleGuidedCNN
from vton_jax.models.weights import load_network
from vton_jax.systems.lab126.arms import ARMS

ARM = "post"  # the arm of a try-on that names none
NAMES = (
    "reader_cnn",
    "multi_path_cnn_encoder",
    "multi_path_cnn_decoder",
    "latent_prior_cnn",
    "layout_refinement_cnn",
    "re_map_cnn",
    "triple_guided_cnn",
    "shading_cnn",
)
_LABELS, _JOINTS = segmentation.NUM_LABELS, keypoints.NUM_JOINTS


@dataclasses.dataclass(frozen=True)
class Array:
    """An input. `draw(generator, shape)` makes some that the network may be given, to try it."""

    name: str
    shape: tuple[int, ...]
    means: str
    draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Network:
    """A network, and the file that its weights were read from."""

    name: str
    weights: Path
    function: Callable[..., dict[str, jax.Array]]  # of the inputs in turn
    inputs: tuple[Array, ...]
    outputs: dict[str, str]  # name -> what it means

    def draw(self, count: int) -> list[np.ndarray]:
        """Inputs of so many examples; the same every time."""
        generator = np.random.default_rng(0)
        return [np.asarray(one.draw(generator, (count, *one.shape)), np.float32) for one in self.inputs]


def _uniform(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return generator.random(shape)


def _one_hot(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.eye(shape[-1])[generator.integers(shape[-1], size=shape[:-1])]


def _fractions(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return generator.dirichlet(np.ones(shape[-1]), shape[:-1])


def _image(name: str, size: tuple[int, int], means: str) -> Array:
    return Array(name, (*size, 3), f"{means}, RGB in [0, 1]", _uniform)


def _labels(name: str, size: tuple[int, int], means: str) -> Array:
    return Array(name, (*size, _LABELS), f"{means}: 1 in the channel of each pixel's label, 0 in the others", _one_hot)


def load(names: tuple[str, ...] = NAMES, folder: str | Path | None = None) -> Iterator[Network]:
    """The networks of those names.

    Args: folder: where the weights lie, by default the released ones. Raises: UserError for weights that are missing.
    """
    makers = {
        "reader_cnn": _reader,
        "multi_path_cnn_encoder": _encoder,
        "multi_path_cnn_decoder": _decoder,
        "latent_prior_cnn": _prior,
        "layout_refinement_cnn": _refinement,
        "re_map_cnn": _re_map,
        "triple_guided_cnn": _triple_guided,
        "shading_cnn": _shading,
    }
    for name in names:
        yield makers[name](functools.partial(weights.path_of, folder=folder))


def _reader(at: Callable) -> Network:
    path = at("reader_cnn")
    network, params, _, settings = load_network("reader_cnn", ReaderCNN, path)
    outputs = {
        "segmentation": "logits of the labels",
        "joints": "logits of where each joint lies, in pixels of four by four; softmax over all places and `outside`",
        "outside": "logit of a joint's lying beyond the picture or nowhere",
        "places": "joints as (x / width, y / height), beyond the picture too",
        "seen": "logit of a joint's being in sight",
        "kind": "logits of `kinds`",
        "garment_type": "logits of `garment_types`, of a garment alone",
        "sleeves": "logits of `sleeves`",
        "facing": "(sin, cos) of the turn to the picture's right, the shorter the less is known",
    }
    given = (_image("image", settings["size"], "any picture"),)
    return Network("reader_cnn", path, functools.partial(network.apply, params), given, outputs)


def _multi_path(at: Callable):
    path = at("multi_path_cnn")
    network, params, extra, _ = load_network("multi_path_cnn", MultiPathCNN, path)
    whiten, colour = inversion.whitening(extra["latent_mean"], extra["latent_covariance"])
    return path, network, params, whiten, colour


def _latent(name: str, network: MultiPathCNN, colour: Callable, means: str) -> Array:
    def draw(generator, shape):
        return colour(generator.standard_normal(shape).astype(np.float32))

    return Array(name, (network.latent_size,), means, draw)


def _encoder(at: Callable) -> Network:
    path, network, params, _, _ = _multi_path(at)

    def encode(image):
        return {"z": network.apply(params, image, method="encode")}

    given = (_image("image", network.size, "a person from head to foot"),)
    return Network("multi_path_cnn_encoder", path, encode, given, {"z": "the latent"})


def _decoder(at: Callable) -> Network:
    path, network, params, _, colour = _multi_path(at)
    outputs = {
        "image": "the smoothed picture, RGB in [0, 1]",
        "segmentation": "logits of the labels, at half the size",
        "pose": "maps of the joints at half the size, 1 at a joint",
    }
    given = (_latent("z", network, colour, "a latent"),)
    return Network("multi_path_cnn_decoder", path, functools.partial(network.apply, params, method="decode"), given,
                   outputs)  # fmt: skip


def _prior(at: Callable) -> Network:
    """LatentPriorCNN between latents as the encoder and the decoder have them: whitening comes with it."""
    path = at("latent_prior_cnn")
    prior, params, _, _ = load_network("latent_prior_cnn", LatentPriorCNN, path)
    _, network, _, whiten, colour = _multi_path(at)

    def expect(coarse_maps, z_user, z_pose):
        found = prior.apply(params, coarse_maps, whiten(z_user), whiten(z_pose))
        return {"z": colour(found["mean"])} | found

    block = latent_prior_cnn.BLOCK
    size = network.size[0] // block, network.size[1] // block
    means = f"shares of the labels in blocks of {block}x{block} pixels of the coarse map; unknown pixels count for none"
    given = (
        Array("coarse_maps", (*size, _LABELS), means, _fractions),
        _latent("z_user", network, colour, "the user's latent"),
        _latent("z_pose", network, colour, "the pose image's latent"),
    )
    outputs = {
        "z": "the latent to expect, for the decoder",
        "mean": "the same, whitened",
        "log_scale": "logarithm of the spread around `mean`",
    }
    return Network("latent_prior_cnn", path, expect, given, outputs)


def _refinement(at: Callable) -> Network:
    path = at("layout_refinement_cnn")
    network, params, _, settings = load_network("layout_refinement_cnn", LayoutRefinementCNN, path)
    size = tuple(settings["size"])
    told = (
        f"in blocks of 4x4 pixels, in turn: fractions of the {_LABELS} labels of the user, of the pose image and of "
        f"the garment alone; maps of the {_JOINTS} joints of the pose image and of the garment's wearer, 1 at a joint; "
        "1 in the channel of the garment's type"
    )
    given = (
        _labels("known", size, "the coarse map's labels (all 0 where it is unknown)"),
        Array("given", (size[0] // 4, size[1] // 4, layout_refinement_cnn.GIVEN), told, _uniform),
    )
    outputs = {"segmentation": "logits of the target's labels"}
    return Network("layout_refinement_cnn", path, functools.partial(network.apply, params), given, outputs)


def _re_map(at: Callable) -> Network:
    path = at("re_map_cnn")
    network, params, _, settings = load_network("re_map_cnn", ReMapCNN, path)
    size = tuple(settings["size"])
    poses = [
        Array(name, (size[0] // 4, size[1] // 4, _JOINTS), f"maps of the {whose} joints, 1 at a joint", _uniform)
        for name, whose in (("donor_pose", "donor's"), ("target_pose", "target's"))
    ]
    given = (
        _image("dress_image", size, "the garment alone on white"),
        _labels("s_dress", size, "the garment's labels"),
        _labels("s_output", size, "the target's labels"),
        *poses,
    )
    outputs = {
        "flow": "pixels (dx, dy): the target at (x, y) shows the garment at (x + dx, y + dy)",
        "mask": "where the garment shows what the target needs, in (0, 1)",
        "warped": "the garment moved by the flow, RGB in [0, 1]",
        "coarse_flow": "the flow at a quarter of the size, in pixels there",
    }
    return Network("re_map_cnn", path, functools.partial(network.apply, params), given, outputs)


def _triple_guided(at: Callable) -> Network:
    path = at(ARMS[ARM].triple_guided)
    network, params, _, settings = load_network("triple_guided_cnn", TripleGuidedCNN, path)
    size = tuple(settings["size"])
    given = (
        _image("input_image", size, "the user"),
        _image("dress_image", size, "the garment alone on white"),
        _labels("s_output", size, "the target's labels"),
        _labels("s_input", size, "the user's labels"),
        _labels("s_dress", size, "the garment's labels"),
    )
    outputs = {
        "image": "the picture, RGB in [0, 1]",
        "painted": "what was painted anew, RGB in [0, 1]",
        "weights": "shares of painted, input_image and dress_image in `image`, which sum to 1",
    }
    return Network("triple_guided_cnn", path, functools.partial(network.apply, params), given, outputs)


def _shading(at: Callable) -> Network:
    path = at("shading_cnn")
    network, params, _, settings = load_network("shading_cnn", ShadingCNN, path)
    size = tuple(settings["size"])
    joints = (size[0] // 4, size[1] // 4, _JOINTS)
    given = (
        _labels("labels", size, "the target's labels"),
        Array("joints", joints, "maps of the target's joints, 1 at a joint", _uniform),
    )
    means = (
        "square root of the light on a white surface: from everywhere, and of key lights from the left, the right, the "
        "front and above"
    )
    return Network("shading_cnn", path, functools.partial(network.apply, params), given, {"root": means})
