"""What a parser learns from drawn people: python benchmarks/does_it_pay.py --ccp=DIR --grounds=DIR SIDE [SIDE ...]

Trains the same small ParserCNN from the same start for the same number of steps on each SIDE, and scores it on the
photos of Clothing Co-Parsing whose number ends in 3, which no side has seen. Sides:

  mannequins            capsules, before the catalogue's own background
  mannequins_outside    the same, cut out and set before photos of places (--grounds)
  FOLDER                a dataset that `data/build.py catalogue` drew, with or without --grounds
  photos                Clothing Co-Parsing's own training photos (a dataset of data/build.py, --photos)

Every side is augmented alike (`parsing_batches.augment`). Prints one JSON object a side.
"""

import argparse
import functools
import json
import sys
import time
from pathlib import Path

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import optax

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vton_jax.core import framing, label_tables
from vton_jax.evaluate import ccp_parsing, metrics
from vton_jax.human_catalogue import scenes
from vton_jax.inputs import ccp, input_pipeline, parsing_batches
from vton_jax.media import photo_files, visualize
from vton_jax.models import parser_cnn
from vton_jax.tasks.modules import total
from vton_jax.training import compiler

WIDTHS = (16, 48, 96, 128, 144)
BATCH, RATE, WARMUP = 16, 2e-3, 100
DRAWN = (256, 192)


@functools.cache
def mannequins(count: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """`count` frames with their labels."""
    source, images, maps = input_pipeline.mannequin_batches(0, 4, DRAWN), [], []
    while len(images) < count:
        batch = jax.device_get(next(source))
        for who in ("input", "output"):
            images += list(batch[f"{who}_image"])
            maps += list(batch[f"{who}_segmentation"])
    return images[:count], maps[:count]


def _before(image: np.ndarray, labels: np.ndarray, ground: np.ndarray) -> np.ndarray:
    person = cv2.GaussianBlur((labels > 0).astype(np.float32), (0, 0), 0.7)[..., None]
    return np.rint(person * image + (1 - person) * 255 * ground).astype(np.uint8)


def training(model, batches, steps: int, size: tuple[int, int]):
    """The parameters after `steps`, the mean loss of the last tenth, and the seconds."""
    schedule = optax.warmup_cosine_decay_schedule(0, RATE, WARMUP, steps, RATE / 50)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=1e-4))
    params = model.init(jax.random.key(0), jnp.zeros((1, *size, 3)))

    def loss(params, batch):
        terms = parser_cnn.loss(model.apply(params, framing.to_float(batch["image"])), batch["segmentation"])
        return total(terms, parser_cnn.LOSS_WEIGHTS)

    @functools.partial(jax.jit, compiler_options=compiler.training_options())
    def step(params, state, batch):
        value, gradient = jax.value_and_grad(loss)(params, batch)
        change, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, change), state, value

    state, losses, began = optimizer.init(params), [], time.monotonic()
    for number in range(steps):
        params, state, value = step(params, state, next(batches))
        losses.append(value)
        if number % 200 == 199:
            done = time.monotonic() - began
            print(f"step {number + 1}/{steps} loss {float(np.mean(losses[-200:])):.3f} {done:.0f} s", file=sys.stderr)
    return params, float(np.mean(jax.device_get(losses[-steps // 10 :]))), time.monotonic() - began


def scores(model, params, folder: str, size: tuple[int, int], sheet: str) -> dict[str, float]:
    """`ccp_parsing.merged_scores` on the validation photos; the first 24 go to a picture, where it has a name."""
    classes, rows = len(label_tables.CCP_MERGED_LABELS), []
    matrix, apply = np.zeros((classes, classes + 1), np.int64), jax.jit(model.apply)
    for number in filter(ccp.is_validation, ccp.numbers(folder)):
        photo, ids = ccp.read(folder, number)
        fitted, place = framing.fit(photo, size)
        logits = np.array(apply(params, framing.to_float(fitted[None]))["segmentation"][0])
        labels = place.restore(logits, nearest=False).argmax(-1)
        matrix += metrics.confusion(
            label_tables.CCP_MERGED_FROM_LABEL[labels], label_tables.CCP_MERGED_FROM_CCP[ids], classes
        )
        if len(rows) < 24:
            shown = framing.fit(labels.astype(np.uint8), size, fill=0, nearest=True)[0]
            rows.append(np.hstack([fitted, visualize.colour_segmentation(shown)]))
    if sheet:
        photo_files.write_image(sheet, np.vstack([np.hstack(rows[at : at + 8]) for at in range(0, len(rows), 8)]))
    return ccp_parsing.merged_scores(matrix)


def batches_of(side: str, arguments, size: tuple[int, int]):
    """The batches that a side learns from."""
    if side.startswith("mannequins"):
        images, maps = mannequins(arguments.pictures)
        if side.endswith("_outside"):
            grounds, generator = scenes.Grounds(arguments.grounds), np.random.default_rng(0)
            pairs = zip(images, maps, strict=True)
            images = [_before(image, labels, grounds.sample(generator, DRAWN)) for image, labels in pairs]
        return parsing_batches.memory_batches(images, maps, BATCH, 0, size, view=parsing_batches.augment)
    if side == "photos":
        drawn = parsing_batches.read_photos(arguments.photos, "train")
        return parsing_batches.memory_batches(*drawn, BATCH, 0, size, view=parsing_batches.augment)
    return parsing_batches.photo_batches(side, BATCH, 0, size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sides", nargs="+", metavar="SIDE")
    parser.add_argument("--ccp", required=True, help="the folder of Clothing Co-Parsing")
    parser.add_argument("--photos", help="a prepared dataset of it, for the side photos")
    parser.add_argument("--grounds", help="a folder of `data/build.py grounds`")
    parser.add_argument("--pictures", type=int, default=3000, help="of mannequins")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--size", default="128x96")
    parser.add_argument("--sheets", help="a folder for pictures of what was read")
    arguments = parser.parse_args()
    size, model = tuple(map(int, arguments.size.split("x"))), parser_cnn.ParserCNN(widths=WIDTHS)
    for side in arguments.sides:
        params, loss, seconds = training(model, batches_of(side, arguments, size), arguments.steps, size)
        name = Path(side).name if Path(side).is_dir() else side
        sheet = str(Path(arguments.sheets) / f"{name}.png") if arguments.sheets else ""
        found = {key: round(value, 3) for key, value in scores(model, params, arguments.ccp, size, sheet).items()}
        about = {"side": name, "steps": arguments.steps, "seconds": round(seconds), "loss": round(loss, 3)}
        print(json.dumps(about | found), flush=True)


if __name__ == "__main__":
    main()
