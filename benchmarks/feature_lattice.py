"""Whether features with strides leave a lattice: python benchmarks/feature_lattice.py --perceptual=FILE

FILE: lpips_alexnet.safetensors. A picture is optimised until its features and their Gram matrices are like those of
eight pictures of cloth, as a painter's is that cannot know the detail: compared as they lie, and moved alike by up to 3
and 15 pixels at every step (`losses.moved_alike`). Of what repeats every 4, 8 and 16 pixels: how many times what chance
gives. Two minutes.
"""

import argparse
import sys
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import optax

from vton_jax.models import losses, lpips, lpips_weights

SIZE = (128, 96)
COLOUR = np.float32([0.35, 0.45, 0.6])


def cloth(seed: int) -> np.ndarray:
    """One colour with folds and a weave, float [H, W, 3]."""
    generator, light = np.random.default_rng(seed), 0.0
    for sigma, strength in ((8, 0.06), (1, 0.03)):
        noise = cv2.GaussianBlur(generator.normal(size=SIZE).astype(np.float32), (0, 0), sigma)
        light += strength * noise / noise.std()
    return np.clip(COLOUR + light[..., None], 0, 1)


def optimised(network: lpips.Lpips, reach: int, steps: int = 150) -> np.ndarray:
    """The picture [H, W, 3], compared with moves below `reach` pixels."""
    truth = jnp.asarray(np.stack([cloth(seed) for seed in range(8)]))

    def loss(picture, key):
        with mock.patch.object(losses, "_STRIDE", reach):
            pair = losses.moved_alike(key, jnp.broadcast_to(picture, truth.shape), truth)
        one, two = zip(*(jnp.split(maps, 2) for maps in network.features(jnp.concatenate(pair))), strict=True)
        same = [1 / len(one)] * len(one)
        return (
            jnp.abs(pair[0] - pair[1]).mean()
            + 0.5 * losses.perceptual(one, two, same)
            + 300 * losses.style(one, two, same)
        )

    adam = optax.adam(0.004)

    @jax.jit
    def step(picture, state, key):
        change, state = adam.update(jax.grad(loss)(picture, key), state)
        return optax.apply_updates(picture, change), state

    picture = jnp.broadcast_to(COLOUR, (1, *SIZE, 3))
    state = adam.init(picture)
    for number in range(steps):
        picture, state = step(picture, state, jax.random.PRNGKey(number))
    return np.asarray(picture[0])


def lattice(picture: np.ndarray, period: int) -> float:
    """The deviation of the mean over all periods, in parts of what it is where nothing repeats."""
    light = picture[16:-16, 16:-16].mean(-1)
    rows, columns = (side // period for side in light.shape)
    cells = light[: rows * period, : columns * period].reshape(rows, period, columns, period).mean((0, 2))
    return float(cells.std() / light.std() * np.sqrt(rows * columns))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--perceptual", required=True, help="LPIPS' weights of AlexNet")
    network = lpips.from_params(lpips_weights.read(parser.parse_args().perceptual))
    for reach in (1, 4, 16):
        picture = optimised(network, reach)
        print(
            f"below {reach:2} pixels:",
            *(f"{period}: {lattice(picture, period):.1f}" for period in (4, 8, 16)),
            flush=True,
        )


if __name__ == "__main__":
    main()
