"""A sweep from its spec to its end: prepared, its workers watched, shut down in time."""
