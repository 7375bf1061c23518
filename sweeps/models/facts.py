"""What is known of a model without training it."""

from dataclasses import dataclass

from torch import nn

from interpodil import InterpodilConv2d


@dataclass(frozen=True)
class ModelFacts:
    """Sizes of a model.

    Attributes:
        kernel_size: height and width of the layer's effective kernel, in pixels, as ``7x7``.
        receptive_field: pixels of the image, along one axis, that a unit of the last convolution or
            pooling sees.
        parameters: number of trained values.
    """

    kernel_size: str
    receptive_field: int
    parameters: int


def model_facts(model: nn.Module) -> ModelFacts:
    """Measure a model built by :func:`sweeps.models.build_model`."""
    layer = next(m for m in model.modules() if isinstance(m, InterpodilConv2d))
    height, width = layer.effective_size
    return ModelFacts(
        kernel_size=f"{height}x{width}",
        receptive_field=receptive_field(model),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
    )


def receptive_field(model: nn.Module) -> int:
    """Count the pixels along one axis that a unit after the last convolution or pooling sees.

    Each adds (kernel - 1) times the distance of its inputs in the image, and multiplies that
    distance by its stride. Modules count in the order in which they were registered; shortcuts
    (``downsample``) see less than the path beside them and do not count.
    """
    seen, distance = 1, 1
    for name, module in model.named_modules():
        if "downsample" in name:
            continue
        if isinstance(module, InterpodilConv2d):
            kernel, stride = module.effective_size[-1], module.stride[-1]
        elif isinstance(module, nn.Conv2d):
            kernel, stride = (
                module.dilation[-1] * (module.kernel_size[-1] - 1) + 1,
                module.stride[-1],
            )
        elif isinstance(module, nn.MaxPool2d):
            assert isinstance(module.kernel_size, int)
            assert isinstance(module.stride, int)
            kernel, stride = module.kernel_size, module.stride
        else:
            continue
        seen += (kernel - 1) * distance
        distance *= stride
    return seen
