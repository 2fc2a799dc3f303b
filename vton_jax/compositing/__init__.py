"""Into the networks' frame and back: normalisation, what the photo keeps, full size, temporal filters."""
