"""Measurements of the project's own parts; no package imports them."""
