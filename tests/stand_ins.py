"""What stands in for networks where a test is about what happens around them."""

import numpy as np


class Distances:
    """Stands in for LPIPS."""

    protocol = property(lambda self: {"lpips": "mean difference"})

    def __call__(self, images, truth):
        return {"lpips": np.abs(images - truth).mean((1, 2, 3))}
