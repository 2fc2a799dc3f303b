"""Clothing Co-Parsing."""
