"""Trained weights in files: for this project, and for programs that know nothing of it."""

import copy
import importlib.util
import io
import json
import logging
import math
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from interpodil import InterpodilConv2d, fold
from sweeps.data import Dataset
from sweeps.errors import SweepsError
from sweeps.export.exported import Exported
from sweeps.spec.files import check_writable, write_whole


def check_weights_file(path: Path) -> None:
    """Check that :func:`save_weights` can write a file, before the training.

    Raises:
        SweepsError: it cannot.
    """
    check_writable(path)
    if path.suffix == ".onnx" and importlib.util.find_spec("onnxscript") is None:
        raise SweepsError(f"{path}: needs onnxscript: pip install 'interpodil[onnx]'")


def save_weights(
    path: Path,
    model: nn.Module,
    exported: Exported,
    dataset: Dataset,
    metrics: Mapping[str, float],
) -> None:
    """Write a trained network's weights in the form that a file's name asks for.

    - ``.safetensors``: the network with its layers folded into plain convolutions, and what a
      program has to know to use them: see :func:`describe`.
    - ``.onnx``: the same network as a graph, from RGB images of [0, 1] to logits.
    - any other: the state dict with the base weights, by ``torch.save``.

    Args:
        path: the file.
        model: the network; it is not changed.
        exported: its configuration.
        dataset: what it was trained on.
        metrics: what it reached.

    Raises:
        SweepsError: the file cannot be written, or the network cannot be folded.
    """
    if path.suffix not in (".safetensors", ".onnx"):
        state = io.BytesIO()
        torch.save({name: tensor.cpu() for name, tensor in model.state_dict().items()}, state)
        write_whole(path, state.getvalue())
        return
    try:
        plain = fold(copy.deepcopy(model)).cpu().float().eval()
    except ValueError as error:
        raise SweepsError(f"{path}: {error}") from None
    layers = [name for name, m in model.named_modules() if isinstance(m, InterpodilConv2d)]
    known = describe(plain, layers, exported, dataset, metrics)
    if path.suffix == ".onnx":
        write_whole(path, _to_onnx(plain, dataset, known))
        return
    from safetensors.torch import save

    # Copies, since weights that two modules share are refused.
    tensors = {name: t.clone().contiguous() for name, t in plain.state_dict().items()}
    write_whole(path, save(tensors, known))


def describe(
    plain: nn.Module,
    layers: Sequence[str],
    exported: Exported,
    dataset: Dataset,
    metrics: Mapping[str, float],
) -> dict[str, str]:
    """Describe a folded network for programs that know nothing of this project.

    Returns:
        ``images``: JSON with the images' ``size``, and the ``mean`` and ``std`` of their channels,
        by which values of [0, 1] are normalized; ``classes``: JSON with the names of the outputs;
        ``convolutions``: JSON with ``stride``, ``padding``, ``dilation``, ``groups`` and
        ``padding_mode`` of every convolution by its name; ``layers``: JSON with the names of those
        that were the layer under test; ``metrics``: JSON with what the last epoch measured;
        ``configuration``: the YAML that ``sweeps train`` takes.
    """
    convolutions = {
        name: {
            setting: getattr(module, setting)
            for setting in ("stride", "padding", "dilation", "groups", "padding_mode")
        }
        for name, module in plain.named_modules()
        if isinstance(module, nn.Conv2d)
    }
    finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
    images = {"size": dataset.size, "mean": dataset.mean, "std": dataset.std}
    return {
        "images": json.dumps(images),
        "classes": json.dumps(dataset.classes),
        "convolutions": json.dumps(convolutions),
        "layers": json.dumps(layers),
        "metrics": json.dumps(finite),
        "configuration": exported.to_yaml(),
    }


class _Normalized(nn.Module):
    """A network that takes pixels of [0, 1]."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, dataset: Dataset) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(dataset.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(dataset.std).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network((images - self.mean) / self.std)
        return logits


def _to_onnx(plain: nn.Module, dataset: Dataset, known: dict[str, str]) -> bytes:
    network = _Normalized(plain, dataset).eval()
    # Two images: of one, the export would take their number for a constant.
    images = torch.zeros(2, 3, dataset.size, dataset.size)
    dynamic = {"images": {0: torch.export.Dim("batch")}}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program: Any = torch.onnx.export(
                network,
                (images,),
                dynamo=True,
                verbose=False,
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes=dynamic,
            )
        except torch.onnx.OnnxExporterError as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise SweepsError(f"PyTorch cannot write this network as ONNX: {reason}") from None
    program.model.metadata_props.update(known)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        program.save(file)
        return file.read_bytes()
