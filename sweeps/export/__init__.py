"""Exported configurations: written, read back, trained again."""
