"""Sweeps over the settings of interpodilated convolutions, from Python.

Run a sweep as ``sweeps run`` does, with the same guarantees, and look at its study::

    from sweeps import load_spec, open_study, run_sweep

    study = run_sweep(load_spec("quick"), workers=2)
    study.best_trial.params
    open_study("quick-cifar10").epochs_dataframe()

Names are imported when they are first used, because PyTorch and Optuna take seconds to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeps.errors import Diverged, Interrupted, SweepsError
    from sweeps.runner.comparison import run_comparison
    from sweeps.runner.sweep import run_sweep
    from sweeps.spec.comparison import ComparisonSpec, load_comparison, parse_comparison
    from sweeps.spec.spec import Spec, load_spec, parse_spec
    from sweeps.study.comparison import Comparison
    from sweeps.study.comparison_reading import open_comparison
    from sweeps.study.frames import SweepStudy, open_study
    from sweeps.worker.context import TrialContext

__all__ = [
    "Comparison",
    "ComparisonSpec",
    "Diverged",
    "Interrupted",
    "Spec",
    "SweepStudy",
    "SweepsError",
    "TrialContext",
    "load_comparison",
    "load_spec",
    "open_comparison",
    "open_study",
    "parse_comparison",
    "parse_spec",
    "run_comparison",
    "run_sweep",
]

_MODULES = {
    "Comparison": "sweeps.study.comparison",
    "ComparisonSpec": "sweeps.spec.comparison",
    "Diverged": "sweeps.errors",
    "Interrupted": "sweeps.errors",
    "Spec": "sweeps.spec.spec",
    "SweepStudy": "sweeps.study.frames",
    "SweepsError": "sweeps.errors",
    "TrialContext": "sweeps.worker.context",
    "load_comparison": "sweeps.spec.comparison",
    "load_spec": "sweeps.spec.spec",
    "open_comparison": "sweeps.study.comparison_reading",
    "open_study": "sweeps.study.frames",
    "parse_comparison": "sweeps.spec.comparison",
    "parse_spec": "sweeps.spec.spec",
    "run_comparison": "sweeps.runner.comparison",
    "run_sweep": "sweeps.runner.sweep",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
