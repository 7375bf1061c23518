"""Workers as jobs of a SLURM array, through submitit."""

from sweeps.engines.slurm.engine import SlurmEngine

__all__ = ["SlurmEngine"]
