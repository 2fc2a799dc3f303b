"""VITON."""
