"""Interpodilated layers in models that exist: put in, and folded back into plain convolutions."""

from interpodil.conversion.convert import convert
from interpodil.conversion.folding import fold
from interpodil.conversion.report import Conversion
from interpodil.conversion.where import spatial, stem, three_by_three

__all__ = ["Conversion", "convert", "fold", "spatial", "stem", "three_by_three"]
