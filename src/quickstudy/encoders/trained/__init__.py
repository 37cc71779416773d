"""Encoders that somebody has trained."""
