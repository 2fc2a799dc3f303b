"""Flow from geometry, and how warped cloth and painted picture are blended."""
