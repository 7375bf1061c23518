"""Number formats: what ``auto`` stands for, autocast, loss scaling; and running out of memory."""

import time
from functools import cache

import torch
from torch import nn

from sweeps.data import Dataset
from sweeps.errors import SweepsError
from sweeps.models import build_model
from sweeps.spec.config import RunConfig
from sweeps.spec.training import TrainingConfig

#: Number of parts each batch is split into when a run is tried again in less memory.
MICRO_BATCHES = 4

# bfloat16 has to be so much faster on a CPU, in steps of so many images, the fastest of some.
_PAYS = 1.2
_PROBE_IMAGES = 32
_PROBE_STEPS = 4

_SIGNS = ("can't allocate memory", "ALLOC_FAILED", "out of memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was too little, a GPU's or the machine's."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


def resolve_precision(config: RunConfig, device: torch.device, dataset: Dataset) -> RunConfig:
    """Replace ``auto`` precision by what suits the device.

    On a CPU that is measured, once in a process for each network: few compute in bfloat16, and
    those that do are slower with it in some networks, such as those with depthwise convolutions.

    Raises:
        SweepsError: the precision asked for does not work on the device.
    """
    precision = config.training.precision
    on_gpu = device.type == "cuda"
    if precision == "auto":
        if on_gpu:
            bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            model = config.model.model_copy(update={"weights": "none"})
            network = RunConfig(model=model).model_dump_json()
            bfloat16 = _bfloat16_pays(network, dataset.size, len(dataset.classes))
        return config.with_values({"training.precision": "bfloat16" if bfloat16 else "float32"})
    if precision == "float16" and not on_gpu:
        raise SweepsError(
            f"training.precision float16 needs a GPU, not {device}; use bfloat16 or float32"
        )
    return config


@cache
def _bfloat16_pays(network: str, size: int, num_classes: int) -> bool:
    """Whether this CPU trains a network, a ``RunConfig`` in JSON, in bfloat16 clearly faster."""
    seconds: dict[bool, list[float]] = {False: [], True: []}
    with torch.random.fork_rng(devices=[]):
        model = build_model(
            RunConfig.model_validate_json(network), size=size, num_classes=num_classes
        ).to(memory_format=torch.channels_last)
        images = torch.randn(_PROBE_IMAGES, 3, size, size)
        images = images.contiguous(memory_format=torch.channels_last)
        for _ in range(_PROBE_STEPS):
            for bfloat16, times in seconds.items():
                # This thread's CPU time: other work on the machine delays one step and not another.
                start = time.thread_time()
                with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                    outputs = model(images)
                outputs.float().sum().backward()
                times.append(time.thread_time() - start)
    return min(seconds[False]) > _PAYS * min(seconds[True])


class Precision:
    """Autocast and loss scaling as a configuration asks for.

    Args:
        settings: the configuration; its precision is resolved.
        device: where to train.
    """

    def __init__(self, settings: TrainingConfig, device: torch.device) -> None:
        dtype = torch.bfloat16 if settings.precision == "bfloat16" else torch.float16
        self.autocast = torch.autocast(
            device.type, dtype, enabled=settings.precision in ("bfloat16", "float16")
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "float16")

    def step(self, optimizer: torch.optim.Optimizer, clip_norm: float | None = None) -> bool:
        """Let the optimizer step; false where float16 overflowed and the step was skipped.

        Args:
            optimizer: its parameters have their gradients.
            clip_norm: the gradients of all parameters together are scaled down to this norm.
        """
        if clip_norm is not None:
            self.scaler.unscale_(optimizer)
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            nn.utils.clip_grad_norm_(parameters, clip_norm)
        if not self.scaler.is_enabled():
            optimizer.step()
            return True
        before = self.scaler.get_scale()
        self.scaler.step(optimizer)
        self.scaler.update()
        return self.scaler.get_scale() >= before
