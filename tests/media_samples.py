"""What the tests of photos and clips share: pictures that are simple to know, and the look of an error."""

import numpy as np


def gradient(height=48, width=32):
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([255 * x // (width - 1), 255 * y // (height - 1), np.full_like(x, 80)], -1).astype(np.uint8)


def clip(num_frames=12, size=(48, 64)):
    """Frames whose grey level tells their index, with a red top left quarter."""
    frames = np.zeros((num_frames, *size, 3), np.uint8)
    frames[:] = (20 + 16 * np.arange(num_frames))[:, None, None, None]
    frames[:, : size[0] // 2, : size[1] // 2] = (220, 30, 30)
    return frames


def sentence(error, name):
    text = str(error.value)
    assert name in text
    assert "\n" not in text and 20 < len(text) < 400
    return text
