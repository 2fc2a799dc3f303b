"""What networks learn from: batches, augmentation, cached examples."""
