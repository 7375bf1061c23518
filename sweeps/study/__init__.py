"""A spec's study: made, opened, its progress, its notes, its samplers and pruners."""
