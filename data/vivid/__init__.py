"""ViViD."""
