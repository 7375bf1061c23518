"""What people write: specs, settings, search spaces, presets; checked before anything starts."""
