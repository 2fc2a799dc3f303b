"""Flags, and how a command runs."""
