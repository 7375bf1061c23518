"""What metrics and settings mean, in words for people who do not know the project."""

from collections.abc import Iterable

LAYER = (
    "The layer under test is the interpodilated convolution: a 3x3 convolution whose nine weights "
    "are set apart (dilation) and whose gaps are filled by interpolation (the tent), so that they "
    "see 5x5 or 7x7 pixels."
)

METRICS = {
    "val_accuracy": "share of the validation images that are classified correctly",
    "val_top5": "share of the validation images whose class is among the five likeliest",
    "val_loss": "mean cross-entropy on the validation images",
    "val_calibration_error": "how far confidence and accuracy are apart on the validation images",
    "train_loss": "mean cross-entropy on the training images",
    "step_ms": "milliseconds of a training step",
    "peak_memory_mib": "most memory in use, in MiB",
    "seconds": "seconds of an epoch",
    "images_per_second": "training images per second",
}

SETTINGS = {
    "layer.kernel_size": "weights of the layer, along each axis",
    "layer.dilation": "pixels from one weight to the next; 1 is a plain convolution",
    "layer.growth": "pixels to which the resulting kernel is cropped",
    "layer.fade": "pixels over which the kernel falls to zero beyond its outermost weights",
    "layer.edge": "how much of a weight the pixel half-way to the next one gets",
    "layer.corner": "how much of a weight the pixel diagonal to it gets",
    "layer.tent": "the form of the interpolation, by its name",
    "layer.learn_tent": "whether training changes the interpolation",
    "layer.init": "how the weights start",
    "layer.init_scale": "factor on the initial weights; 1 keeps the variance of white noise",
    "layer.gain": "whether the kernel's gain is taken out of the initial weights or of every pass",
    "layer.gain_of": "the input whose gain is taken out",
    "layer.blur": "whether the images are blurred first, by a fixed 3x3 filter",
    "layer.stride": "pixels from one output to the next",
    "model.name": "the network",
    "model.where": "which of its convolutions become the layer",
    "training.optimizer": "the optimizer",
    "training.schedule": "how the learning rate changes during training",
    "training.learning_rate": "the highest learning rate",
    "training.momentum": "the optimizer's momentum",
    "training.weight_decay": "how strongly weights are pulled towards zero",
    "training.batch_size": "images of a training step",
    "training.label_smoothing": "share of the target that goes to the other classes",
    "training.ema": "decay of the average of the weights that is validated",
    "training.clip_norm": "the largest norm of a gradient",
    "training.mixup": "how strongly pairs of images are blended",
    "training.cutmix": "how strongly parts of images are exchanged",
    "training.crop": "pixels by which training images are shifted at random",
    "training.crop_scale_min": "smallest part of an image that is cut out at random",
    "training.crop_scale_max": "largest part of an image that is cut out at random",
    "training.flip": "whether training images are mirrored at random",
}


def meanings(metrics: Iterable[str]) -> list[str]:
    """Say what each metric means, of the validation or the test images, where that is known."""
    found = []
    for name in dict.fromkeys(metrics):
        words = METRICS.get(name.replace("test_", "val_"))
        if words and name.startswith("test_"):
            words = words.replace("validation", "test")
        if words:
            found.append(f"{name}: {words}.")
    return found
