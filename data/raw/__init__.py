"""Raw videos, with nothing beside them, to annotated shots: pure functions of one video, and engines that run them."""
