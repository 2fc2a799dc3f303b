"""UBC Fashion."""
