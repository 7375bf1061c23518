"""Whether a configuration goes with its pictures."""

from sweeps.config import RunConfig
from sweeps.errors import SweepsError
from sweeps.models import check_model


def check_run(config: RunConfig, size: int, train_pictures: int) -> None:
    """See whether a configuration goes with its pictures, without touching them.

    Args:
        config: the run.
        size: height and width of the pictures in pixels.
        train_pictures: how many there are to train on.

    Raises:
        SweepsError: it does not.
    """
    settings = config.training
    if settings.crop >= size:
        raise SweepsError(
            f"training.crop {settings.crop} is too large for pictures of {size} pixels"
        )
    if settings.batch_size > train_pictures:
        raise SweepsError(
            f"training.batch_size {settings.batch_size} is more than the {train_pictures} "
            "training pictures; make it smaller"
        )
    try:
        check_model(config, size=size)
    except ValueError as error:
        raise SweepsError(str(error)) from None
