"""VITON-HD."""
