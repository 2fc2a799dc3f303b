"""python invert.py: the command of vton_jax/invert.py, from a checkout."""

from vton_jax.invert import flag_utils, main

if __name__ == "__main__":
    flag_utils.run(main)
