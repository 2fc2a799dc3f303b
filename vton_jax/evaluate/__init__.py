"""Evaluation: suites of pictures with their truth, metrics, reports."""
