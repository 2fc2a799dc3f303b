"""Which pictures below folders resemble each other: python benchmarks/near_duplicates.py DIR [DIR ...] --edges=0.7

Prints the pairs whose edges correlate by at least --edges, the likeliest first, and whether the rule of
data/near_duplicates.py takes them for copies: to look at them and to see how far the rule is from a wrong answer.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tqdm import tqdm

from data import near_duplicates
from vton_jax.media import photo_files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--edges", type=float, default=0.7, help="least correlation of what is printed")
    arguments = parser.parse_args()
    paths = [p for folder in arguments.folders for p in sorted(folder.rglob("*")) if p.suffix in (".jpg", ".png")]
    looks = [near_duplicates.look(photo_files.read_photo(path, max_side=256)) for path in tqdm(paths, disable=None)]
    by_rule = {pair[:2] for pair in near_duplicates.resembling(looks, looks)}
    near_duplicates.EDGES = near_duplicates.EDGES_BEFORE_PLAIN = arguments.edges
    found = [pair for pair in near_duplicates.resembling(looks, looks) if pair[0] < pair[1]]
    for i, j, bits, edges, mirrored in sorted(found, key=lambda pair: -pair[3]):
        one = looks[i].mirrored() if mirrored else looks[i]
        colours = near_duplicates.colour_difference(one.colours, looks[j].colours)
        verdict = "copies" if (i, j) in by_rule else "no copies"
        how = "mirrored" if mirrored else "as it is"
        print(f"{verdict:9} {how} edges {edges:.3f} bits {bits} colours {colours:.1f} {paths[i]} {paths[j]}")


if __name__ == "__main__":
    main()
