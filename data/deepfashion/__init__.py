"""DeepFashion's In-shop photos in pairs."""
