"""The target layout: parts aligned by joints, the coarse map in eight steps, and the backward procedure."""
