"""Try-on systems: photo + garment + poses -> results."""
