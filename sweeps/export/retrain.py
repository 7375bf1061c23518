"""Training an exported configuration again."""

import io
from pathlib import Path

import click

from sweeps.engines.devices import available_cores, take_device
from sweeps.errors import SweepsError
from sweeps.export.exported import Exported
from sweeps.spec.files import check_writable, load_yaml, read_text, write_whole
from sweeps.spec.validation import validate


def read_exported(path: Path) -> Exported:
    """Read an exported configuration.

    Raises:
        SweepsError: it cannot be read, or a key or a value is wrong; its path is told.
    """
    text = read_text(path, if_missing=f"`sweeps export -o {path}` writes one")
    return validate(Exported, load_yaml(text, str(path)), str(path))


def retrain(
    exported: Exported,
    *,
    seed: int | None,
    device: str | None,
    threads: int | None,
    save: Path | None,
    data_dir: Path,
) -> float:
    """Train, print each epoch, and compare the metric with the recorded one.

    Args:
        exported: the configuration.
        seed: in place of the recorded one.
        device: ``auto``, ``cpu`` or ``cuda:N``; ``None`` for the recorded kind.
        threads: CPU threads; ``None`` for the recorded number.
        save: where to write the trained weights.
        data_dir: where datasets are.

    Returns:
        The metric after the last epoch.

    Raises:
        SweepsError: the images are missing or others than the recorded; the run diverged.
    """
    if save is not None:
        check_writable(save)
    source = exported.source
    if device is None:
        device = "cpu" if source is not None and source.environment.device == "cpu" else "auto"
    recorded_threads = source.environment.threads if source is not None else None
    threads = threads or recorded_threads or available_cores()
    place = take_device(device, threads)

    import torch

    from sweeps.data import open_dataset
    from sweeps.training import new_model, resolve_precision, train

    if source is not None and source.environment.device != place:
        click.echo(
            f"measured on {source.environment.device} ({source.environment.device_name}), trained "
            f"on {place} here: the numbers will differ",
            err=True,
        )
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = True
    config = exported.run_config()
    if seed is not None:
        config = config.with_values({"seed": seed})
    config = resolve_precision(config, torch.device(place))
    dataset = open_dataset(config.data.name, data_dir, config.data.size)
    wanted = exported.data.fingerprint
    if wanted is not None and dataset.fingerprint != wanted:
        raise SweepsError(
            f"the {dataset.name} in {data_dir} ({dataset.fingerprint}) is not the one that was "
            f"trained on ({wanted}); import that, or take data.fingerprint out of the file"
        )

    metric = source.metric if source is not None else "val_accuracy"
    model = new_model(config, dataset)
    click.echo("epoch  train_loss  val_loss  val_accuracy  learning_rate  images/s")
    for result in train(config, dataset, torch.device(place), model=model):
        click.echo(
            f"{result.epoch:>5}  {result.train_loss:>10.4f}  {result.val_loss:>8.4f}  "
            f"{result.val_accuracy:>12.4f}  {result.learning_rate:>13.3g}  "
            f"{result.images_per_second:>8.0f}"
        )
        if result.diverged:
            raise SweepsError(f"the run diverged in epoch {result.epoch}: the loss is not finite")
    value: float = getattr(result, metric)
    click.echo(_comparison(exported, config.seed, metric, value))
    if save is not None:
        weights = io.BytesIO()
        torch.save({name: tensor.cpu() for name, tensor in model.state_dict().items()}, weights)
        write_whole(save, weights.getvalue())
        click.echo(f"Wrote {save}", err=True)
    return value


def _comparison(exported: Exported, seed: int, metric: str, value: float) -> str:
    line = f"{metric} {value:.6g}"
    source = exported.source
    if source is None:
        return line
    recorded = f"trial {source.trial} of {source.study}"
    if seed != exported.seed:
        return f"{line} with seed {seed}; {recorded} had {source.value:.6g} with {exported.seed}"
    if value == source.value:
        return f"{line}, the same as {recorded}"
    return f"{line}; {recorded} had {source.value:.6g}, a difference of {value - source.value:+.3g}"
