"""Whether a configuration goes with its images: told before anything is trained, without torch."""

from sweeps.errors import SweepsError
from sweeps.spec.config import RunConfig


def check_run(config: RunConfig, size: int, train_images: int) -> None:
    """See whether a configuration goes with its images, without touching them.

    Args:
        config: the run.
        size: height and width of the images in pixels.
        train_images: how many there are to train on.

    Raises:
        SweepsError: it does not.
    """
    settings = config.training
    if settings.crop >= size:
        raise SweepsError(f"training.crop {settings.crop} is too large for images of {size} pixels")
    if settings.batch_size > train_images:
        raise SweepsError(
            f"training.batch_size {settings.batch_size} is more than the {train_images} "
            "training images; make it smaller"
        )
    if config.model.name == "tutorial":
        pixels_left(config.layer.stride, size)


def pixels_left(first_stride: int, size: int) -> int:
    """Height and width of what reaches the tutorial network's linear layer, in pixels.

    Raises:
        SweepsError: nothing does.
    """
    # After the first layer of that stride, and two poolings.
    left = ((size - 1) // first_stride + 1) // 2 // 2
    if left == 0:
        raise SweepsError(
            f"stride {first_stride} leaves nothing of images of {size} pixels: the tutorial "
            "network needs 4 pixels after its first layer; use a smaller stride or larger images"
        )
    return left
