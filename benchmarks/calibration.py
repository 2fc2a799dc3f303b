"""How sure ReaderCNN may be: python benchmarks/calibration.py --people=DIR --photos=FILE --garments=DIR

--people is a folder of `python -m vton_jax.cache_examples --kind=people --split=validation`, --photos the file
`chosen_by.npz` of `python data/build.py pictures`, --garments holds flat photos TYPE/*.jpg from which nothing learned.
All are read in a quick look. Prints for each answer, kind, type and sleeves, how often it is right, the mean
confidence, the expected calibration error over ten bins of confidence, the log loss, and the temperature that makes the
log loss least (C. Guo and others, "On Calibration of Modern Neural Networks", ICML 2017), with what it makes of both.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from data.pictures import FLAT
from vton_jax.inputs import drawn_people, pictures
from vton_jax.media import photo_files, progress
from vton_jax.models.reader_cnn import KINDS, SLEEVES, TYPES
from vton_jax.reading.picture_reader import MAX_SIDE, PictureReader, tempered

BINS = 10
TEMPERATURES = np.exp(np.linspace(np.log(0.25), np.log(4), 113))
Example = tuple[np.ndarray, dict[str, int]]  # a picture, and the index of the right answer of each name that is known


def calibration_error(probabilities: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """The expected calibration error: how far confidence and share of right answers lie apart, bin by bin.

    Args: probabilities [N, C]. right: int [N], the right answers.
    """
    confidence, hit = probabilities.max(-1), probabilities.argmax(-1) == right
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    parts = [place == number for number in range(bins)]
    return float(sum(abs(confidence[here].mean() - hit[here].mean()) * here.mean() for here in parts if here.any()))


def log_loss(probabilities: np.ndarray, right: np.ndarray) -> float:
    return float(-np.log(np.maximum(probabilities[np.arange(len(right)), right], 1e-9)).mean())


def fitted(probabilities: np.ndarray, right: np.ndarray) -> float:
    """The temperature with the least log loss."""
    losses = [log_loss(tempered(probabilities, temperature), right) for temperature in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])


def drawn(folder: str, count: int) -> Iterator[Example]:
    """People and garments alone of the catalogue, as many of each."""
    arrays = drawn_people.as_pictures(drawn_people.read(folder, "train"))  # the folder's split is its own
    for kind in ("person", "garment"):
        numbers = np.flatnonzero(arrays["kind"] == KINDS.index(kind))
        for number in numbers[:: max(1, len(numbers) // count)][:count]:
            told = {name: int(arrays[name][number]) for name in ("kind", "garment_type", "sleeves")}
            yield arrays["image"][number], {name: value for name, value in told.items() if value >= 0}


def photographed(path: str) -> Iterator[Example]:
    """People in photos."""
    arrays = pictures.read(path)
    for image, (height, width) in zip(arrays["image"], arrays["shown"], strict=True):
        yield image[:height, :width], {"kind": KINDS.index("person")}


def laid(folder: str, every: int) -> Iterator[Example]:
    """Garments alone in photos."""
    for path in sorted(Path(folder).glob("*/*.jpg"))[::every]:
        garment_type, sleeves = FLAT[path.parent.name]
        told = {"kind": KINDS.index("garment"), "garment_type": TYPES.index(garment_type)}
        told |= {"sleeves": SLEEVES.index(sleeves)} if sleeves else {}
        yield photo_files.read_photo(path, MAX_SIDE), told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", required=True, help="folder of cached examples of the kind people")
    parser.add_argument("--photos", required=True, help="chosen_by.npz")
    parser.add_argument("--garments", required=True, help="folder of flat photos, TYPE/*.jpg")
    parser.add_argument("--count", type=int, default=100, help="drawn people, and as many garments")
    parser.add_argument("--every", type=int, default=1, help="of the flat photos, every so many")
    options = parser.parse_args()
    examples = [*drawn(options.people, options.count), *photographed(options.photos)]
    examples += laid(options.garments, options.every)
    reader, found = PictureReader(), {"kind": [], "garment_type": [], "sleeves": []}
    for picture, told in progress.each(examples, "picture"):
        seen = reader.read(picture, thorough=False)
        said = {"kind": seen.kind, "garment_type": seen.types, "sleeves": seen.sleeves}
        for name, right in told.items():
            found[name].append((said[name], right))
    for name, pairs in found.items():
        probabilities, right = np.stack([p for p, _ in pairs]), np.array([r for _, r in pairs])
        temperature = fitted(probabilities, right)
        hits = int((probabilities.argmax(-1) == right).sum())
        print(f"{name}: {hits} of {len(right)} right, mean confidence {probabilities.max(-1).mean():.3f}")
        for value in (1.0, temperature):
            now = tempered(probabilities, value)
            error, loss = calibration_error(now, right), log_loss(now, right)
            print(f"  temperature {value:.2f}: calibration error {error:.3f}, log loss {loss:.3f}")


if __name__ == "__main__":
    main()
