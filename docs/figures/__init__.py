"""Draws the pictures of the layer's page, from what the package computes."""
