"""Imports what a worker on a CPU needs, for the workers that a fork server forks."""

import optuna
import psycopg  # noqa: F401
import torch

import sweeps.cli.worker
import sweeps.worker.objective
import sweeps.worker.process  # noqa: F401

# The first database and the first optimizer import a lot: alembic, and parts of torch.compile.
optuna.logging.set_verbosity(optuna.logging.WARNING)
optuna.storages.RDBStorage("sqlite://").engine.dispose()
torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
