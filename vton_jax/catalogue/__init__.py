"""People drawn from public-domain meshes, with exact truth: bodies first, clothes, skin and light to come.

Identity and pose in, a picture's geometry out; everything is NumPy, pure, and a function of its arguments alone.
The mannequins (`vton_jax/mannequin/`) give way to it, issue by issue; until then networks learn from those.

Conventions: lengths in decimetres; x is the person's left, y up, z the front; left and right are the person's own. In
pictures (x, y) in pixels, the top-left pixel's centre is (0, 0).
"""
