"""Finding and replacing the modules of a model, their hooks, and keeping the random state."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

ConvNd = nn.Conv1d | nn.Conv2d | nn.Conv3d

_FORWARD_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
)
_STATE_DICT_HOOKS = (
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


def names_of_modules(model: nn.Module) -> dict[nn.Module, list[str]]:
    """Return every module with all its qualified names, in the model's order."""
    names: dict[nn.Module, list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        names.setdefault(module, []).append(name)
    return names


def replace_modules(model: nn.Module, replacements: Mapping[nn.Module, nn.Module]) -> nn.Module:
    """Replace modules everywhere in a model.

    Returns:
        the model, or its replacement if the model itself is replaced.
    """
    for parent in list(model.modules()):
        for name, child in parent._modules.items():
            if child is not None and child in replacements:
                parent._modules[name] = replacements[child]
    return replacements.get(model, model)


def hooks_of(module: nn.Module, *, of_state_dict: bool = False) -> list[str]:
    """Return the names of a module's forward and backward hooks, and state dict hooks if asked."""
    registries = _FORWARD_HOOKS + (_STATE_DICT_HOOKS if of_state_dict else ())
    return [
        getattr(hook, "__name__", type(hook).__name__)
        for registry in registries
        for hook in getattr(module, registry).values()
    ]


@contextmanager
def random_state_kept(tensors: Iterable[Tensor]) -> Iterator[None]:
    """Restore torch's random generators on exit: the CPU's, and those of the tensors' devices."""
    devices: dict[str, set[int]] = {}
    for tensor in tensors:
        if tensor.device.type not in ("cpu", "meta"):
            devices.setdefault(tensor.device.type, set()).add(tensor.device.index or 0)
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        for device_type, indices in devices.items():
            stack.enter_context(torch.random.fork_rng(sorted(indices), device_type=device_type))
        yield
