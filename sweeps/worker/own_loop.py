"""A training loop of your own without a study, for ``sweeps train``."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, SupportsFloat

import click
import optuna

from sweeps.data import Dataset
from sweeps.errors import Diverged, SweepsError
from sweeps.export.exported import Exported
from sweeps.export.retrain import (
    EpochLines,
    compare,
    import_code,
    open_images,
    recorded_values,
    warn_of_device,
)
from sweeps.spec.config import RunConfig
from sweeps.spec.data import NO_IMAGES
from sweeps.spec.imports import import_objective
from sweeps.worker.context import TrialContext


class LocalContext(TrialContext):
    """Prints what a loop reports, and prunes nothing.

    Args:
        config: the settings.
        device: where to train, ``cpu`` or ``cuda``.
        metrics: the names of the values that count.
        dataset: the images of ``config.data``, if any.
        data_dir: the folder of the datasets.
    """

    def __init__(
        self,
        config: RunConfig,
        device: str,
        metrics: Sequence[str],
        dataset: Dataset | None,
        data_dir: Path,
    ) -> None:
        super().__init__(
            trial=optuna.trial.FixedTrial({}),  # type: ignore[arg-type]
            config=config,
            device=device,
            metrics=metrics,
            checkpoint=_NoCheckpoint(),
            should_stop=lambda: False,
            worker_name="sweeps train",
            dataset=dataset,
            data_dir=data_dir,
        )
        self.lines = EpochLines(metrics)

    def describe(
        self, *, epochs: int, note: str = "", attributes: Mapping[str, Any] | None = None
    ) -> None:
        """Do nothing: there is nobody to read it."""

    def report(
        self,
        epoch: int,
        *,
        replayed: bool = False,
        diverged: bool = False,
        attributes: Mapping[str, Any] | None = None,
        **metrics: SupportsFloat,
    ) -> None:
        """Print an epoch."""
        numbers = self._take(epoch, metrics)
        self.lines.show(epoch, numbers)
        if diverged:
            raise Diverged(f"diverged in epoch {epoch}")


def run_own_loop(
    exported: Exported, *, seed: int | None, device: str, threads: int, data_dir: Path
) -> list[float]:
    """Run the training loop that an exported configuration names, and compare its values.

    Args:
        exported: the configuration.
        seed: instead of the recorded one; ``None`` for that.
        device: where to train, ``cpu`` or ``cuda``.
        threads: CPU threads.
        data_dir: where datasets are.

    Returns:
        The values of the objectives.

    Raises:
        SweepsError: the loop cannot be imported, its file is not the recorded one, the images are
            missing or differ; or the run diverged.
    """
    assert exported.objective is not None
    warn_of_device(exported, device)
    import_code(exported)
    function = import_objective(exported.objective)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    config = exported.run_config()
    if seed is not None:
        config = config.with_values({"seed": seed})
    dataset = None if config.data.name == NO_IMAGES else open_images(exported, data_dir)
    recorded = recorded_values(exported)
    context = LocalContext(config, device, list(recorded), dataset, data_dir)
    try:
        values = context.result(function(context))
    except Diverged as error:
        raise SweepsError(f"the run diverged: {error}") from None
    context.lines.show_others()
    for (name, before), value in zip(recorded.items(), values, strict=True):
        click.echo(compare(exported, config.seed, name, value, before))
    return values


class _NoCheckpoint:
    """A checkpoint of a run that is not resumed."""

    def read(self) -> None:
        return None

    def write(self, content: bytes) -> None: ...

    def is_due(self) -> bool:
        return False

    def refuse(self, reason: str) -> None: ...

    def accept(self, epoch: int) -> None: ...
