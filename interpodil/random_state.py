"""Random draws that leave the generators as they were."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor


@contextmanager
def random_state_kept(tensors: Iterable[Tensor]) -> Iterator[None]:
    """Restore torch's generators afterwards: the CPU's, and those of the tensors' devices."""
    devices: dict[str, set[int]] = {}
    for tensor in tensors:
        if tensor.device.type not in ("cpu", "meta"):
            devices.setdefault(tensor.device.type, set()).add(tensor.device.index or 0)
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        for device_type, indices in devices.items():
            stack.enter_context(torch.random.fork_rng(sorted(indices), device_type=device_type))
        yield
