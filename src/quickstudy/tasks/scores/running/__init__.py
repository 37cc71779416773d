"""What it costs to run what was chosen."""
