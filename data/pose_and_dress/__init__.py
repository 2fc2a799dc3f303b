"""Pose-and-Dress: one person, two outfits, three poses."""
