"""Grids around a trunk: float [rows, angles], whose columns close to a circle."""

import cv2
import numpy as np


def blurred(grid: np.ndarray, down: float, around: float) -> np.ndarray:
    """A grid [rows, angles] smoothed."""
    reach = 12
    wide = cv2.copyMakeBorder(grid, reach, reach, 0, 0, cv2.BORDER_REPLICATE)
    wide = cv2.copyMakeBorder(wide, 0, 0, reach, reach, cv2.BORDER_WRAP)
    return cv2.GaussianBlur(wide, (0, 0), sigmaX=around, sigmaY=down)[reach:-reach, reach:-reach]


def between(grid: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Bilinear samples [V] of a grid [rows, angles]."""
    top, left = np.minimum(row.astype(int), len(grid) - 2), np.floor(column).astype(int)
    down, right = row - top, column - left
    one, two = left % grid.shape[1], (left + 1) % grid.shape[1]
    upper = grid[top, one] * (1 - right) + grid[top, two] * right
    lower = grid[top + 1, one] * (1 - right) + grid[top + 1, two] * right
    return upper * (1 - down) + lower * down
