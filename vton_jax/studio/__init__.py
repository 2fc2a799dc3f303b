"""The studio: try-on in a browser and over HTTP (`python -m vton_jax.studio`, with the extra `studio`)."""
