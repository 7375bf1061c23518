"""What a person sees while a sweep runs: a live table on a terminal, plain lines elsewhere."""

from sweeps.views.live import LiveView
from sweeps.views.plain import PlainView
from sweeps.views.view import View, make_view

__all__ = ["LiveView", "PlainView", "View", "make_view"]
