"""See the registry for the names."""
