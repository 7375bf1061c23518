"""Asks another process whether a sweep's networks can be built: this one imports no torch."""

import json
import subprocess
import sys

from sweeps.data import Dataset
from sweeps.errors import SweepsError
from sweeps.spec.checks import probe_values
from sweeps.spec.spec import Spec
from sweeps.study.study import spec_tree


def check_networks(spec: Spec, dataset: Dataset) -> None:
    """Refuse networks that cannot be built for a dataset; download weights that are missing.

    Networks whose layer is a new stem need no check but that of :func:`check_run`, and one of the
    gain of a constant image, which some tents have not.

    Raises:
        SweepsError: what does not fit.
    """
    base = spec.base_config()
    configs = [base, *(base.with_values(values) for _, values in probe_values(spec))]
    if all(
        c.model.has_new_stem and c.model.weights == "none" and c.layer.gain_of != "constant"
        for c in configs
    ):
        return
    if "torch" in sys.modules:
        from sweeps.models.check import check_networks as check

        check(spec, dataset.size, len(dataset.classes))
        return
    asked = {
        "spec": spec_tree(spec),
        "name": spec.name,
        "size": dataset.size,
        "classes": len(dataset.classes),
    }
    done = subprocess.run(
        [sys.executable, "-m", "sweeps.models.check"],
        input=json.dumps(asked),
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode == 0:
        return
    refused = done.stdout.strip()
    raise SweepsError(refused or f"{spec.name}: checking its networks failed, see above")
