"""The catalogue: people in clothes, drawn from public-domain meshes and photos of garments, our source of exact truth.

`bodies` says who somebody is, `people.dress` makes one mesh of body and clothes, `views.view_of` poses it before a
camera and knows what its picture shows, `pictures.shade` draws it, `motion` moves it. `examples` are try-ons with their
counterfactual truth, `cases` and `failures` those that are evaluated on, and `python -m vton_jax.catalogue` writes
videos as a shop would hand them over. Everything is NumPy and a function of its arguments alone.

Conventions: lengths in decimetres; x is the person's left, y up, z the front; left and right are the person's own. In
pictures (x, y) in pixels, the top-left pixel's centre is (0, 0).
"""
