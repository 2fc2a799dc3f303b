"""Brings examples to a size and varies them: pictures, labels, joints, flow and the names of left and right together.

Conventions: an example is a dict of the contract in `input_pipeline`; sizes are (height, width). All pictures of an
example go the same way, so that what belonged together still does. A `matrix` is float [2, 3] and maps a pixel's place
`(x, y)` to its new place. Where a picture ends, its border goes on, in image and labels alike.

Everything is a function of the example and of a NumPy generator; which generator an example gets is the loader's affair
(`input_pipeline`: it depends on the seed and on the example's place in the whole run alone).
"""

from collections.abc import Callable

import cv2
import numpy as np

from vton_jax.core import framing, keypoints, segmentation

# The ranges of `at_random`.
SCALE = 0.1  # of log scale, either way
TURN = 3.0  # degrees, standard deviation
SHIFT = 0.04  # fractions of the size, either way
GAMMA = 0.15  # of log gamma, standard deviation: common to all channels, and half as much in each


def _once(function: Callable) -> Callable:
    """A version of `function(array)` that works an array off once, though it may be in an example several times."""
    done = {}

    def call(array):
        if id(array) not in done:
            done[id(array)] = array, function(array)  # the array is kept, so that its id stays its own
        return done[id(array)][1]

    return call


def fit(example: dict, size: tuple[int, int]) -> dict:
    """Resizes all of an example to `size`, each picture keeping its aspect ratio (`framing.fit`)."""
    fitted = dict(example)
    image = _once(lambda value: framing.fit(value, size))
    labels = _once(lambda value: framing.fit(value, size, nearest=True)[0])
    for name, value in example.items():
        if name.endswith("_image"):
            fitted[name] = image(value)[0]
        elif name.endswith("_segmentation"):
            fitted[name] = labels(value)
        elif name.endswith("_keypoints"):
            person = name.removesuffix("_keypoints")
            points = image(example[f"{person}_image"])[1].points(value)
            fitted[name] = np.where(example[f"{person}_visible"][..., None], points, 0).astype(np.float32)
        elif name == "flow":
            moved, placement = framing.fit(value, size, fill=0)
            fitted[name] = moved * np.float32(placement.scale)
        elif name == "flow_visible":
            fitted[name] = framing.fit(value.astype(np.uint8), size, fill=0, nearest=True)[0] > 0
    return fitted


def mirror(example: dict) -> dict:
    """Mirrors an example left to right, and with it the names of limbs and joints and the sign of the flow's dx."""
    mirrored = dict(example)
    width = example["input_image"].shape[-2]
    image = _once(lambda value: np.ascontiguousarray(value[..., ::-1, :]))
    labels = _once(segmentation.mirror)
    for name, value in example.items():
        if name.endswith("_image"):
            mirrored[name] = image(value)
        elif name.endswith("_segmentation"):
            mirrored[name] = labels(value)
        elif name.endswith("_keypoints"):
            visible_name = name.replace("_keypoints", "_visible")
            mirrored[name], mirrored[visible_name] = keypoints.mirror(value, example[visible_name], width)
        elif name == "flow":
            mirrored[name] = value[..., ::-1, :] * np.array([-1, 1], value.dtype)
        elif name == "flow_visible":
            mirrored[name] = np.ascontiguousarray(value[..., ::-1])
    return mirrored


def move(example: dict, matrix: np.ndarray) -> dict:
    """Moves an example of one size by an affine map; joints that leave the picture are no longer visible.

    A flow leads from the moved output to the moved dress: f'(x) = L f(A^-1 x), L the linear part of A; where it leads
    out of the picture it is not visible.
    """
    height, width = example["input_image"].shape[:2]
    back = cv2.invertAffineTransform(matrix)

    def warp(value, method, border=cv2.BORDER_REPLICATE):
        return cv2.warpAffine(value, back, (width, height), flags=method | cv2.WARP_INVERSE_MAP, borderMode=border)

    moved = dict(example)
    image, labels = (_once(lambda v, m=method: warp(v, m)) for method in (cv2.INTER_LINEAR, cv2.INTER_NEAREST))
    for name, value in example.items():
        if name.endswith("_image"):
            moved[name] = image(value)
        elif name.endswith("_segmentation"):
            moved[name] = labels(value)
        elif name.endswith("_keypoints"):
            points = value @ matrix[:, :2].T + matrix[:, 2]
            inside = ((points > -0.5) & (points < (width - 0.5, height - 0.5))).all(-1)
            visible = example[name.replace("_keypoints", "_visible")] & inside
            moved[name] = np.where(visible[..., None], points, 0).astype(np.float32)
            moved[name.replace("_keypoints", "_visible")] = visible
        elif name == "flow":
            flow = warp(value, cv2.INTER_LINEAR) @ matrix[:, :2].T.astype(np.float32)
            moved[name] = flow.astype(np.float32)
            if "flow_visible" in example:
                seen = warp(example["flow_visible"].astype(np.uint8), cv2.INTER_NEAREST, cv2.BORDER_CONSTANT) > 0
                x, y = np.arange(width) + flow[..., 0], np.arange(height)[:, None] + flow[..., 1]
                moved["flow_visible"] = seen & (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return moved


def recolour(example: dict, gamma: np.ndarray) -> dict:
    """Raises the channels of all pictures to `gamma` [3]: black and white stay, so a white background does too."""
    table = np.round(255 * (np.arange(256)[:, None] / 255) ** gamma).astype(np.uint8).reshape(256, 1, 3)
    image = _once(lambda value: cv2.LUT(value, table))
    return {name: image(value) if name.endswith("_image") else value for name, value in example.items()}


def random_matrix(size: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
    """A small turn, scaling and shift about the middle of a picture of `size`, float [2, 3]."""
    height, width = size
    turn, scale = np.deg2rad(generator.normal(0, TURN)), np.exp(generator.uniform(-SCALE, SCALE))
    shift = generator.uniform(-SHIFT, SHIFT, 2) * (width, height)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    return np.column_stack([linear, middle + shift - linear @ middle])


def at_random(example: dict, generator: np.random.Generator) -> dict:
    """What training does to every example: mirrored every other time, moved a little, recoloured a little."""
    if generator.random() < 0.5:
        example = mirror(example)
    example = move(example, random_matrix(example["input_image"].shape[:2], generator))
    return recolour(example, np.exp(generator.normal(0, GAMMA) + generator.normal(0, GAMMA / 2, 3)))
