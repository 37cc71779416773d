"""Score tables from the files and objects that others keep them in."""
