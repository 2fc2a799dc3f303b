"""One network a file. Networks never import each other."""
