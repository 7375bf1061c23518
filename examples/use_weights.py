"""Use trained weights without this project: PyTorch and safetensors are all that is needed.

    sweeps train best.yaml --save best.safetensors
    python use_weights.py best.safetensors images.pt

``images.pt`` holds RGB images as a tensor of bytes, (N, 3, size, size), written by ``torch.save``.
The network is the project's ``tutorial``. For one of torchvision's, load the tensors into that
network, after giving it the convolutions that the file describes.
"""

import json
import sys

import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional as F

KNOWN = ("images", "classes", "convolutions")


def classify(file: str, images: Tensor) -> list[str]:
    """Return the name of each image's likeliest class."""
    with safe_open(file, framework="pt") as opened:
        known = {name: json.loads(opened.metadata()[name]) for name in KNOWN}
        weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118

    def convolution(x: Tensor, name: str) -> Tensor:
        settings = known["convolutions"][name]
        stride, padding = settings["stride"], settings["padding"]
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride, padding)

    mean, std = (torch.tensor(known["images"][name]).view(3, 1, 1) for name in ("mean", "std"))
    x = (images / 255 - mean) / std
    x = F.max_pool2d(convolution(x, "conv1"), 2).relu()
    x = F.max_pool2d(convolution(x, "conv2"), 2).relu()
    logits = F.linear(x.flatten(1), weights["fc.weight"], weights["fc.bias"])
    return [known["classes"][index] for index in logits.argmax(1)]


if __name__ == "__main__":
    for name in classify(sys.argv[1], torch.load(sys.argv[2])):
        print(name)
