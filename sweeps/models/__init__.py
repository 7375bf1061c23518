"""The networks in which the layer is tried: by name, or by import."""

from sweeps.models.facts import ModelFacts, model_facts, multiply_adds
from sweeps.models.layer import build_model

__all__ = ["ModelFacts", "build_model", "model_facts", "multiply_adds"]
