"""People of the catalogue, unselected: python benchmarks/catalogue.py --count=36 --output=people.png

Writes a sheet of the users of `--count` examples in their new garments, the first of each, and prints one JSON object:
the seconds of processor time that each step takes a picture (median), pictures a second of one core with and without
setting the person up, and the seconds of a whole try-on example of four pictures (mean of one user's 15).
"""

import argparse
import json
import platform
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vton_jax.catalogue import characters, examples, exchanges, people, pictures, poses, scenes, styles, textures, views
from vton_jax.media import photo_files

STEPS = ("character", "mesh", "textures", "view", "shade")


def draw(number: int, size: tuple[int, int], samples: int) -> tuple[np.ndarray, list[float]]:
    """The picture of person `number`, and the seconds of each of `STEPS`."""
    generator = np.random.default_rng(number)
    times = [time.process_time()]
    who = characters.character(number)
    times.append(time.process_time())
    style = styles.sample(generator)
    person = people.dress(who.identity, [*people.sample_worn(generator, who.identity.gender, style), *who.hair])
    times.append(time.process_time())
    skins = textures.sample_textures(generator, who.looks, person.layers, style)
    times.append(time.process_time())
    eye = scenes.sample_camera(generator, size, person.height)
    view = views.view_of(person, poses.sample_pose(generator), eye, size)
    times.append(time.process_time())
    ground, light = scenes.sample_ground(generator, eye, size), scenes.sample_light(generator)
    picture = scenes.finish(generator, pictures.shade(view, skins, light, ground, samples))
    times.append(time.process_time())
    return picture, list(np.diff(times))


def example_seconds(size: tuple[int, int]) -> float:
    """Processor seconds that `examples.draw` takes, whoever lends clothes set up before, as in a long run."""
    for user in range(exchanges.CIRCLE):
        characters.character(user)
    began = time.process_time()
    for number in range(examples.EXAMPLES_OF_ONE):
        examples.draw(number, size=size)
    return (time.process_time() - began) / examples.EXAMPLES_OF_ONE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=36)
    parser.add_argument("--size", default="256x192")
    parser.add_argument("--samples", type=int, default=2, help="colour samples along a side of each pixel")
    parser.add_argument("--output", default="people.png")
    arguments = parser.parse_args()
    size = tuple(map(int, arguments.size.split("x")))
    draw(0, size, arguments.samples)  # what is read once
    seconds = np.median([draw(number, size, arguments.samples)[1] for number in range(min(arguments.count, 24))], 0)
    users = (number * examples.EXAMPLES_OF_ONE for number in range(arguments.count))
    images = [examples.draw(number, size=size)["output_image"] for number in users]
    rows = [np.hstack(images[first : first + 9]) for first in range(0, len(images), 9)]
    widest = max(row.shape[1] for row in rows)
    photo_files.write_image(
        arguments.output,
        np.vstack([np.pad(row, ((0, 0), (0, widest - row.shape[1]), (0, 0)), constant_values=255) for row in rows]),
    )
    found = {step: round(float(value), 3) for step, value in zip(STEPS, seconds, strict=True)}
    found |= {
        "pictures_per_second": round(float(1 / seconds.sum()), 2),
        "without_setting_up": round(float(1 / seconds[3:].sum()), 2),
        "example": round(example_seconds(size), 2),
        "size": arguments.size, "samples": arguments.samples, "machine": platform.processor() or platform.machine(),
    }  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    main()
