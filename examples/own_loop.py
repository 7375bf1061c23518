"""A training loop of your own: a network of one hidden layer in NumPy, without PyTorch.

``sweeps run own-loop.yaml`` in this folder sweeps it; ``docs/objectives.md`` explains what it is
given and has to do.
"""

import math
import pickle

import numpy as np

from sweeps import Diverged, Interrupted, TrialContext
from sweeps.data import split_rows


def train(context: TrialContext) -> None:
    """Train on the study's images and report each epoch."""
    dataset, options = context.dataset, context.options
    assert dataset is not None
    rows = split_rows(context.config, dataset)
    (images, labels), (val_images, val_labels) = (
        (
            dataset.train.images[chosen].reshape(len(chosen), -1) / 127.5 - 1.0,
            np.asarray(dataset.train.labels[chosen]),
        )
        for chosen in rows
    )
    random = np.random.default_rng(context.seed)
    inputs, classes = images.shape[1], len(dataset.classes)
    first = random.normal(0, math.sqrt(2 / inputs), (inputs, options["hidden"]))
    second = random.normal(0, math.sqrt(2 / options["hidden"]), (options["hidden"], classes))
    history: list[dict[str, float]] = []
    # A retry of a trial whose worker died goes on from what that wrote last: it reports the epochs
    # before, and trains the others.
    if (saved := context.checkpoint.read()) is not None:
        first, second, past = pickle.loads(saved)
        for metrics in past:
            history.append(metrics)
            context.report(len(history), replayed=True, **metrics)

    for epoch in range(len(history) + 1, context.config.training.epochs + 1):
        order = np.random.default_rng([context.seed, epoch]).permutation(len(images))
        for batch in np.array_split(order, len(images) // 50):
            if context.should_stop():
                raise Interrupted
            hidden = np.maximum(images[batch] @ first, 0)
            errors = _softmax(hidden @ second)
            errors[np.arange(len(batch)), labels[batch]] -= 1
            step = options["lr"] / len(batch)
            back = (errors @ second.T) * (hidden > 0)
            second -= step * (hidden.T @ errors)
            first -= step * (images[batch].T @ back)
        outputs = _softmax(np.maximum(val_images @ first, 0) @ second)
        loss = -np.log(outputs[np.arange(len(val_labels)), val_labels] + 1e-12).mean()
        if not np.isfinite(loss):
            raise Diverged(f"the loss was not finite in epoch {epoch}")
        accuracy = (outputs.argmax(1) == val_labels).mean()
        history.append({"val_accuracy": float(accuracy), "val_loss": float(loss)})
        context.report(epoch, **history[-1], weight_norm=np.linalg.norm(first))
        context.checkpoint.write(pickle.dumps((first, second, history)))


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)
