"""The cells of tables in files, as numbers and names."""
