"""The networks in which the layer is tried, by name."""

from sweeps.models.build import build_model
from sweeps.models.facts import ModelFacts, model_facts

__all__ = ["ModelFacts", "build_model", "model_facts"]
