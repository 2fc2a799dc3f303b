"""A live try-on mirror: whoever stands before a camera, in a garment.

`following` knows where they stand, `mirror` dresses frame by frame, `job` goes from options to a live run.
"""
