"""Measurements of the project's own parts; no package imports them."""

import os

# Before torch is imported: its profiler, which tells the memory, else reports on stderr that it
# has started and that no GPU is there.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")
