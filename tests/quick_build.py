"""data/build.py with a reader that looks once at what it would look at thoroughly: a fifth of the work."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from vton_jax.reading.picture_reader import PictureReader

thorough = PictureReader.read


def once(self, picture, **_):
    return thorough(self, picture, thorough=False)


if __name__ in ("__main__", "__mp_main__"):  # its workers, too
    PictureReader.read = once
if __name__ == "__main__":
    from data import build

    build.run(sys.argv)
