"""What comes from outside, made into what a bundle reads."""
