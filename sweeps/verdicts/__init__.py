"""Which of two arms is better, by paired differences, looked at after every seed.

Numbers alone: nothing here knows of studies or of training.
"""

from sweeps.verdicts.allocation import next_seeds
from sweeps.verdicts.declaration import (
    Declaration,
    Verdict,
    decide,
    declare,
    probability_better,
)
from sweeps.verdicts.sequence import confidence_sequence, fewest_seeds, half_width
from sweeps.verdicts.tuning import expected_best

__all__ = [
    "Declaration",
    "Verdict",
    "confidence_sequence",
    "decide",
    "declare",
    "expected_best",
    "fewest_seeds",
    "half_width",
    "next_seeds",
    "probability_better",
]
