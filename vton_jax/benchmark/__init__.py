"""A public benchmark of counterfactual try-on: unseen people and garments with exact truth, for any system.

`cases` writes them, `methods` answers them by this project's systems and by baselines, `measures` scores answers by the
truth's masks and colours alone.
"""
