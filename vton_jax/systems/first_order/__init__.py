"""One picture brought to life: a face or a body that moves as somebody in a clip does (`models.first_order`).

`protocol` is the contract, `motion` the algebra of its two modes, `cropping` finds whom a picture shows and lays what
moves back into it, `system` is the whole, `job` works on files, `live` on cameras.
"""
