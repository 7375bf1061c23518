"""A worker: one process that claims trials, runs them, and ends them, whatever comes of it."""
