"""Running out of memory."""

import torch

#: Into how many parts each batch is split when a run is tried again in less memory.
MICRO_BATCHES = 4

_SIGNS = ("can't allocate memory", "ALLOC_FAILED", "out of memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was too little, a GPU's or the machine's."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)
