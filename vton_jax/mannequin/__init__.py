"""The mannequin catalogue: a procedural population of people in clothes, our source of exact truth.

`people` says who and what they wear, `motion` how they move, `body` turns that into bones and rounded cones, `patterns`
colours them, `render` draws them with exact truth, `sampler` draws training batches on the device, and
`python -m vton_jax.mannequin` writes a catalogue of videos as a shop would hand it over.
"""
