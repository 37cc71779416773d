"""A task as a person sees it: its examples, its questions, and the answers that these were given."""
