"""Settings of batch jobs, as a person types them."""

import json
from collections.abc import Sequence
from typing import Any

from sweeps.errors import SweepsError


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """Settings of jobs as they are typed.

    Args:
        pairs: ``KEY=VALUE``, the value a word, or JSON for numbers, lists and mappings.

    Raises:
        SweepsError: one has another form, or asks for more than a job of one worker has.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise SweepsError(f"--slurm-setting {pair}: write KEY=VALUE, as in partition=gpu")
        try:
            settings[name] = json.loads(value)
        except ValueError:
            settings[name] = value
    for name in ("gpus_per_node", "gpus_per_task", "nodes", "tasks_per_node"):
        if settings.get(name, 1) not in (0, 1):
            raise SweepsError(
                f"--slurm-setting {name}={settings[name]}: a job is one worker on one device; "
                "for more, --workers"
            )
    return settings
