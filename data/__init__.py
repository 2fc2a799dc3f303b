"""Builders of datasets, a folder each, prepared by `python data/build.py NAME --source=DIR --data_dir=DIR`."""
