"""People in clothes, drawn from public-domain meshes with exact truth: what will replace the mannequins.

`bodies` says who somebody is, `people.dress` makes one mesh of body and clothes, `views.view_of` poses it before a
camera and knows what its picture shows, `pictures.shade` draws it. Everything is NumPy and a function of its arguments
alone. Networks still learn from `vton_jax/mannequin/`: garments by rule, real cloth, grounds and shards are missing.

Conventions: lengths in decimetres; x is the person's left, y up, z the front; left and right are the person's own. In
pictures (x, y) in pixels, the top-left pixel's centre is (0, 0).
"""
