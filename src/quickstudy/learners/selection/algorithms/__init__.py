"""Choosing an algorithm for an instance by what is known of it before any runs."""
