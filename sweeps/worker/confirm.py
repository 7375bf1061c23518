"""The objective of confirming runs: the only one that measures on the test part."""

from sweeps.worker.context import TrialContext


def train_and_test(context: TrialContext) -> None:
    """Train a trial's network as any sweep does, and measure it on the test part at its end.

    The last epoch reports ``test_accuracy``, ``test_loss`` and so on beside what all epochs do.

    Raises:
        OutOfMemory, Interrupted, Diverged: see :class:`sweeps.worker.Objective`.
    """
    # torch takes seconds to import, and who starts a sweep imports its objective.
    from sweeps.worker.objective import train_network

    train_network(context, test=True)
