"""What a layer does, told from the operations that torch is asked for."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.timing import FORWARD
from benchmarks.workload import Workload

# Every operation's name and arguments, tensors by their size, strides and dtype.
Operations = list[tuple[str, Any]]


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.operations: Operations = []

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        self.operations.append((str(func), _describe([args, kwargs])))
        return func(*args, **kwargs)


def record(workload: Workload, mode: str) -> Operations:
    """Return the operations of a forward pass or a step that is not the layer's first."""
    run = workload.forward if mode == FORWARD else workload.step
    with workload.setting(), _Recorder() as recorder:
        run()
    workload.clear()
    return recorder.operations


def _describe(argument: Any) -> Any:
    if isinstance(argument, Tensor):
        return tuple(argument.shape), argument.stride(), argument.dtype
    if isinstance(argument, list | tuple):
        return tuple(_describe(part) for part in argument)
    if isinstance(argument, dict):
        return tuple((key, _describe(value)) for key, value in argument.items())
    if isinstance(argument, torch.Generator):
        return "generator"
    return argument
