"""Data sets of texts, which an encoder turns into inputs."""
