"""Other ways to judge than by episodes."""
