"""What encoders have made, kept by content."""
