"""Pictures for people: label maps in colour, skeletons, flows, contact sheets and the error curve.

Conventions: everything here takes NumPy (or JAX) arrays and returns uint8 RGB [..., H, W, 3]; images that come in may
be uint8 or floats in [0, 1]. Points are `(x, y)` in pixels, the top-left pixel's centre at (0, 0); `size` is (height,
width).
"""

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np

from vton_jax.core import keypoints as keypoints_lib
from vton_jax.core import segmentation as segmentation_lib

BONE_COLOURS = np.array(
    [
        [round(255 * part) for part in colorsys.hsv_to_rgb(index / len(keypoints_lib.BONES), 0.9, 0.95)]
        for index in range(len(keypoints_lib.BONES))
    ],
    np.uint8,
)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_INK = (40, 40, 40)
_SUBPIXEL = 4  # bits of fraction that cv2 draws with


def to_uint8(image) -> np.ndarray:
    """Floats in [0, 1] (clipped), bools or uint8 -> uint8; shape kept."""
    image = np.asarray(image)
    if image.dtype == np.uint8:
        return image
    return (np.clip(np.nan_to_num(image.astype(np.float32)), 0, 1) * 255 + 0.5).astype(np.uint8)


def colour_segmentation(segmentation) -> np.ndarray:
    """Label ids [..., H, W] -> colours of `segmentation.PALETTE` [..., H, W, 3]; every id beyond it is unknown."""
    table = np.tile(segmentation_lib.UNKNOWN_COLOUR, (256, 1))
    table[: segmentation_lib.NUM_LABELS] = segmentation_lib.PALETTE
    return table[np.clip(np.asarray(segmentation).astype(np.int64), -1, 255) % 256]


def draw_skeleton(image, keypoints, visible) -> np.ndarray:
    """Draws keypoints [18, 2] on a copy of an image [H, W, 3]: one colour a bone, missing joints left out."""
    canvas = to_uint8(image).copy()
    # Points far outside (or NaN) would overflow cv2's integers; they are as good as missing.
    keypoints = np.asarray(keypoints, np.float64)
    usable = np.asarray(visible, bool) & np.isfinite(keypoints).all(-1) & (np.abs(keypoints) < 1e4).all(-1)
    unit = max(1, round(min(canvas.shape[:2]) / 96))

    def fixed(point):
        return tuple(round(value * 2**_SUBPIXEL) for value in point)

    for (start, end), colour in zip(keypoints_lib.BONES, BONE_COLOURS.tolist(), strict=True):
        if usable[start] and usable[end]:
            cv2.line(canvas, fixed(keypoints[start]), fixed(keypoints[end]), colour, 2 * unit, cv2.LINE_AA, _SUBPIXEL)
    for point in keypoints[usable]:
        cv2.circle(canvas, fixed(point), (unit + 1) << _SUBPIXEL, _INK, -1, cv2.LINE_AA, _SUBPIXEL)
        cv2.circle(canvas, fixed(point), unit << _SUBPIXEL, (255, 255, 255), -1, cv2.LINE_AA, _SUBPIXEL)
    return canvas


def colour_flow(flow, max_magnitude: float | None = None) -> np.ndarray:
    """A flow [..., H, W, 2] as hue (direction; red points right) and saturation (length); zero is white.

    `max_magnitude` in pixels gets full saturation; by default the flow's own 99th percentile.
    """
    flow = np.nan_to_num(np.asarray(flow, np.float32))
    length = np.linalg.norm(flow, axis=-1)
    if max_magnitude is None:
        max_magnitude = float(np.percentile(length, 99)) if length.size else 1.0
    hue = np.mod(np.arctan2(flow[..., 1], flow[..., 0]) / (2 * np.pi), 1.0)
    saturation = np.clip(length / max(max_magnitude, 1e-6), 0, 1)
    # HSV with value 1: each channel falls from 1 by the saturation where its hue is far.
    shift = np.mod(np.array([5.0, 3.0, 1.0], np.float32) + hue[..., None] * 6, 6)
    falloff = np.clip(np.minimum(shift, 4 - shift), 0, 1)
    return to_uint8(1 - saturation[..., None] * falloff)


def contact_sheet(
    rows: Sequence[Sequence[np.ndarray | None]],
    row_titles: Sequence[str] | None = None,
    column_titles: Sequence[str] | None = None,
    cell: tuple[int, int] = (256, 192),
) -> np.ndarray:
    """Lays images [H, W, 3] or [H, W] of any size out in a table with captions -> one uint8 image.

    Rows may differ in length and None leaves a cell empty. Images keep their aspect ratio inside `cell`, which is
    (height, width) in pixels.
    """
    gap, (height, width) = 8, cell
    columns = max([len(row) for row in rows] + [len(column_titles or ())] + [1])
    left = max([0] + [_text_width(title) + 2 * gap for title in row_titles or ()])
    top = 28 if column_titles else 0
    sheet = np.full((top + gap + len(rows) * (height + gap), left + gap + columns * (width + gap), 3), 255, np.uint8)
    for index, title in enumerate(column_titles or ()):
        _caption(sheet, title, (top - 4, left + gap + index * (width + gap)), width)
    for row_index, row in enumerate(rows):
        y = top + gap + row_index * (height + gap)
        if row_titles and row_index < len(row_titles):
            _caption(sheet, row_titles[row_index], (y + height // 2 + 5, gap), left)
        for column_index, image in enumerate(row):
            if image is None:
                continue
            x = left + gap + column_index * (width + gap)
            image = to_uint8(image)
            if image.ndim == 2:
                image = np.repeat(image[..., None], 3, axis=-1)
            scale = min(height / image.shape[0], width / image.shape[1])
            inner = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
            image = cv2.resize(image, inner, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
            y0, x0 = y + (height - inner[1]) // 2, x + (width - inner[0]) // 2
            sheet[y0 : y0 + inner[1], x0 : x0 + inner[0]] = image
            cv2.rectangle(sheet, (x0 - 1, y0 - 1), (x0 + inner[0], y0 + inner[1]), (215, 215, 215), 1)
    return sheet


def error_curve(
    errors, size: tuple[int, int], num_iterations: int | None = None, max_error: float | None = None
) -> np.ndarray:
    """A line plot [H, W, 3] of Err after each iteration 0, 1, ...; values that are not finite are left out.

    `num_iterations` and `max_error` fix the axes, so that the curve of a run in progress grows within one frame.
    """
    height, width = size
    canvas = np.full((height, width, 3), 255, np.uint8)
    errors = np.asarray(errors, np.float64).ravel()
    finite = np.isfinite(errors)
    last = max(1, (num_iterations or len(errors)) - 1)
    top_value = max_error if max_error is not None else (errors[finite].max() if finite.any() else 1.0)
    top_value = top_value if top_value > 0 else 1.0
    font = float(np.clip(min(size) / 400, 0.3, 0.8))
    label = f"{top_value:.3g}"
    text_height = cv2.getTextSize("Err", _FONT, font, 1)[0][1]
    left = max(_text_width(label, font), _text_width("Err", font)) + 8
    x0, x1 = min(left, width - 2), max(width - 8, left + 1)
    y0, y1 = min(2 * text_height + 10, height - 2), max(height - text_height - 12, 1)

    def text(words, x, y):
        cv2.putText(canvas, words, (int(x), int(y)), _FONT, font, _INK, 1, cv2.LINE_AA)

    cv2.line(canvas, (x0, y0), (x0, y1), _INK, 1)
    cv2.line(canvas, (x0, y1), (x1, y1), _INK, 1)
    text("Err", 4, text_height + 4)
    text(label, 4, y0 + text_height)
    text("0", x0 - _text_width("0", font) - 4, y1)
    text("iteration", (x0 + x1 - _text_width("iteration", font)) / 2, height - 5)
    text(str(last), x1 - _text_width(str(last), font), height - 5)
    steps = np.flatnonzero(finite)
    if len(steps):
        x = x0 + steps / last * (x1 - x0)
        y = y1 - np.clip(errors[steps] / top_value, 0, 1) * (y1 - y0)
        points = np.round(np.stack([x, y], -1) * 2**_SUBPIXEL).astype(np.int32)
        colour = (200, 50, 40)
        cv2.polylines(canvas, [points[:, None]], False, colour, 2, cv2.LINE_AA, _SUBPIXEL)
        cv2.circle(canvas, tuple(points[-1].tolist()), 3 << _SUBPIXEL, colour, -1, cv2.LINE_AA, _SUBPIXEL)
    return canvas


def _text_width(text: str, font: float = 0.5) -> int:
    return cv2.getTextSize(text, _FONT, font, 1)[0][0]


def _caption(sheet: np.ndarray, text: str, baseline: tuple[int, int], width: int) -> None:
    """Writes `text` with its baseline starting at (y, x), smaller where it would exceed `width` pixels."""
    font = 0.5 * min(1.0, width / max(1, _text_width(text)))
    cv2.putText(sheet, text, (baseline[1], baseline[0] - 4), _FONT, font, _INK, 1, cv2.LINE_AA)
