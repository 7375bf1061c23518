"""Workers in processes of their own that sample and prune as a spec says, and train nothing."""

import os
import signal
from pathlib import Path
from typing import Any

import optuna

from storage import OVERRIDES, open_storage, open_study, reclaim, study_uid
from sweeps.spec.search import pick_values
from sweeps.spec.spec import parse_spec
from sweeps.worker.checkpoints import Checkpoints
from sweeps.worker.context import TrialContext
from sweeps.worker.loop import Worker

EPOCHS = 4


def work(url: str, tree: dict[str, Any], folder: Path, name: str, dies_in: int | None) -> None:
    """Work on a storage's one study; die in trial ``dies_in``, or the next that is not pruned."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = open_storage(url)
    study = open_study(storage)
    spec = parse_spec(tree, "mine.yaml")
    study.pruner = spec.make_pruner()
    uid = study_uid(storage, study)
    reclaim(storage, study, uid)
    seen = 0

    def configure(trial: optuna.Trial) -> dict[str, Any]:
        return pick_values(
            spec.search,
            spec.base_config().settings(),
            lambda name, parameter: parameter.suggest(trial, name),
            trial.user_attrs.get(OVERRIDES, {}),
        )

    def objective(context: TrialContext) -> float:
        nonlocal seen
        seen += 1
        context.describe(epochs=EPOCHS)
        for epoch in range(1, EPOCHS + 1):
            value = float(context.config["layer.edge"] * epoch / EPOCHS)
            context.report(
                epoch,
                train_loss=1.0,
                val_loss=1.0,
                val_accuracy=value,
                learning_rate=0.1,
                seconds=0.1,
                images_per_second=1.0,
            )
            # A trial that is pruned does not come here.
            if dies_in is not None and seen >= dies_in:
                os.kill(os.getpid(), signal.SIGKILL)
        return value

    Worker(
        storage=storage,
        study=study,
        study_uid=uid,
        objective=objective,
        configure=configure,
        make_sampler=spec.make_sampler,
        checkpoints=Checkpoints(folder, study),
        metrics=spec.metrics,
        name=name,
    ).run()
