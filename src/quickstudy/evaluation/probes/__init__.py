"""Probes of the audit: each looks for one way in which a number can be too good."""
