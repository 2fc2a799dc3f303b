"""python render.py: the command of vton_jax/render.py, from a checkout."""

from vton_jax.render import flag_utils, main

if __name__ == "__main__":
    flag_utils.run(main)
