"""Trains a model: python train.py --flagfile=vton_jax/flagfiles/NAME.flags --workdir=DIR (see vton_jax/train.py)."""

from vton_jax import train
from vton_jax.command_line import flag_utils

if __name__ == "__main__":
    flag_utils.run(train.main, train.define_more_flags)
