"""A user study: real or generated, after a look of 1, 2 or 5 seconds (`python -m vton_jax.study`)."""
