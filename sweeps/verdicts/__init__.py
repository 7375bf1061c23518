"""Which of two arms is better, by paired differences, looked at after every seed.

Numbers alone: nothing here knows of studies or of training.
"""

from sweeps.verdicts.declaration import Declaration, Verdict, decide, declare
from sweeps.verdicts.sequence import confidence_sequence, half_width

__all__ = [
    "Declaration",
    "Verdict",
    "confidence_sequence",
    "decide",
    "declare",
    "half_width",
]
