"""One metric or several objectives: what is allowed, and what is refused in which words."""

import pytest

from sweeps.errors import SweepsError
from sweeps.spec.spec import parse_spec

TWO = [{"metric": "val_accuracy", "direction": "maximize"}, {"metric": "step_ms"}]


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("val_loss", "minimize"),
        ("images_per_second", "maximize"),
        ({"name": "step_ms"}, "minimize"),
        ({"name": "val_loss", "direction": "maximize"}, "maximize"),
    ],
)
def test_the_direction_of_ours_is_known(small, metric, direction):
    spec = parse_spec({**small, "metric": metric}, "small")
    name = metric if isinstance(metric, str) else metric["name"]
    assert (spec.metrics, spec.directions) == ([name], [direction])


def test_several_objectives_prune_nothing(small):
    del small["pruner"]
    spec = parse_spec({**small, "objectives": TWO}, "small")
    assert spec.metrics == ["val_accuracy", "step_ms"]
    assert spec.directions == ["maximize", "minimize"]
    assert spec.pruner.name == "none"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metric": "val_acuracy"}, "metric: no such metric; did you mean val_accuracy?"),
        ({"metric": {"name": "speed", "direction": "maximize"}}, "metric: no such metric"),
        ({"metric": {"name": "val_loss", "direction": "up"}}, "metric.direction: "),
        ({"objectives": TWO, "metric": "val_loss"}, "metric: objectives take its place"),
        ({"objectives": TWO[:1]}, "objectives: name two different metrics or more"),
        ({"objectives": TWO[1:] * 2}, "objectives: name two different metrics or more"),
        ({"objectives": TWO, "pruner": {"name": "asha"}}, "pruner: a trial that is worse by one"),
        ({"objectives": TWO, "sampler": {"name": "cmaes"}}, "sampler.name: cmaes takes one"),
    ],
)
def test_what_is_refused(small, changes, words):
    with pytest.raises(SweepsError) as refused:
        parse_spec({**small, **changes}, "small")
    assert str(refused.value).startswith(f"small: {words}")
    assert "\n" not in str(refused.value)
