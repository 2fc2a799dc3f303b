"""Dress Code."""
