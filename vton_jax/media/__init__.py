"""Photos and clips in and out, and pictures for people."""
