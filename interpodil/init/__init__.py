"""Initialisation of layers that exist: by a batch of real input, and as an identity."""

from interpodil.init.dirac import dirac_
from interpodil.init.lsuv import lsuv_

__all__ = ["dirac_", "lsuv_"]
