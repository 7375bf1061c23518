"""Optimizers, schedules, clipping, and the average of the weights."""

import math
import sys

import pytest
import torch
from torch import nn

from interpodil import InterpodilConv2d
from sweeps.errors import SweepsError
from sweeps.export.exported import Exported, ExportedData, read_exported
from sweeps.spec.training import TrainingConfig
from sweeps.training import check_optimizer, new_model, train
from sweeps.training.evaluation import evaluate
from sweeps.training.optimizer import (
    make_average,
    make_optimizer,
    one_cycle,
    parameter_groups,
    rate_at,
)
from sweeps.training.precision import Precision
from sweeps.training.train import make_batches
from tests.sweeps.training.runs import CPU, run_config

FLOAT32 = Precision(TrainingConfig(precision="float32"), CPU)


def a_step(optimizer, model, scale=1.0, clip_norm=None):
    """One step with gradients that depend on nothing but the shapes; return the update's norm."""
    before = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    for index, parameter in enumerate(model.parameters()):
        values = torch.arange(1.0, parameter.numel() + 1).reshape(parameter.shape)
        parameter.grad = scale * (values + index)
    FLOAT32.step(optimizer, clip_norm)
    after = nn.utils.parameters_to_vector(model.parameters()).detach()
    return float((after - before).norm())


class TestOptimizers:
    @pytest.mark.parametrize(
        ("settings", "theirs"),
        [
            (
                {"optimizer": "sgd", "momentum": 0.8},
                lambda p: torch.optim.SGD(
                    p, lr=0.1, momentum=0.8, nesterov=True, weight_decay=5e-4
                ),
            ),
            (
                {"optimizer": "adamw", "beta1": 0.8, "beta2": 0.9, "eps": 0.1},
                lambda p: torch.optim.AdamW(
                    p, lr=0.1, betas=(0.8, 0.9), eps=0.1, weight_decay=5e-4
                ),
            ),
            (
                {
                    "optimizer": {
                        "import": "torch.optim:NAdam",
                        "options": {"betas": [0.8, 0.9], "momentum_decay": 0.1},
                    }
                },
                lambda p: torch.optim.NAdam(
                    p, lr=0.1, betas=(0.8, 0.9), momentum_decay=0.1, weight_decay=5e-4
                ),
            ),
        ],
    )
    def test_each_steps_as_torchs_with_its_settings(self, settings, theirs):
        models = []
        for make in (
            lambda model: make_optimizer(
                model, TrainingConfig(schedule="constant", warmup=0, **settings), 10
            )[0],
            lambda model: theirs(model.parameters()),
        ):
            torch.manual_seed(0)
            model = nn.Linear(3, 2)
            optimizer = make(model)
            for _ in range(3):
                a_step(optimizer, model)
            models.append(nn.utils.parameters_to_vector(model.parameters()))
        torch.testing.assert_close(*models, rtol=0, atol=0)

    @pytest.mark.parametrize(
        ("reference", "options", "message"),
        [
            ("torch.optim:NAdm", {}, "did you mean NAdam?"),
            ("torch.optim:NAdam", {"momentum_decy": 1}, "options.momentum_decy: no such key; did"),
            ("torch.nn:Identity", {}, "gave Identity, not Optimizer"),
            ("torch.optim:LBFGS", {}, "a step without arguments failed: TypeError"),
        ],
    )
    def test_one_that_cannot_train_is_refused_before_anything_starts(
        self, reference, options, message
    ):
        settings = TrainingConfig(optimizer={"import": reference, "options": options})
        with pytest.raises(SweepsError, match=message) as refused:
            check_optimizer(settings)
        assert str(refused.value).startswith("training.optimizer.")

    def test_one_of_a_persons_own_is_imported_and_exported(self, monkeypatch, tmp_path, patterns):
        (tmp_path / "myoptim.py").write_text(
            "import torch\nclass Sign(torch.optim.SGD):\n    def __init__(self, params, lr):\n"
            "        super().__init__(params, lr=lr)\n"
        )
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "path", [*sys.path])
        optimizer = {"import": "myoptim:Sign", "options": {}}
        config = run_config(training__optimizer=optimizer, training__epochs=1)
        [result] = train(config, patterns, CPU)
        assert math.isfinite(result.val_loss)
        exported = Exported(training=config.training, data=ExportedData(**config.data.model_dump()))
        (tmp_path / "best.yaml").write_text(exported.to_yaml())
        assert read_exported(tmp_path / "best.yaml").run_config() == config

    def test_norms_biases_and_tents_are_spared_weight_decay(self):
        model = nn.Sequential(
            InterpodilConv2d(3, 4, learn_tent=True),
            nn.BatchNorm2d(4),
            nn.GroupNorm(2, 4),
            nn.Conv2d(4, 4, 3, bias=False),
            nn.LayerNorm((4, 2, 2)),
            nn.Linear(4, 2),
        )
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        decayed, spared = parameter_groups(model, TrainingConfig(decay_all=False))
        assert {names[id(p)] for p in decayed["params"]} == {"0.weight", "3.weight", "5.weight"}
        assert len(spared["params"]) == len(names) - 3
        assert spared["weight_decay"] == 0
        [everything] = parameter_groups(model, TrainingConfig())
        assert [names[id(p)] for p in everything["params"]] == list(names.values())

    def test_clipping_bounds_the_update(self):
        settings = TrainingConfig(
            learning_rate=0.5, momentum=0, nesterov=False, weight_decay=0, schedule="constant"
        )
        model = nn.Linear(3, 2)
        optimizer, _ = make_optimizer(model, settings.model_copy(update={"warmup": 0.0}), 10)
        assert a_step(optimizer, model, 1e3, clip_norm=0.2) == pytest.approx(0.1, rel=1e-3)
        assert a_step(optimizer, model, 1e3) > 100
        unclipped = a_step(optimizer, model, 1e-3)
        assert a_step(optimizer, model, 1e-3, clip_norm=10.0) == pytest.approx(unclipped, rel=1e-3)


class TestSchedules:
    @pytest.mark.parametrize(
        ("settings", "expected"),
        [
            ({"schedule": "constant", "warmup": 0}, [1] * 10),
            ({"schedule": "constant", "warmup": 0.3}, [0.25, 0.5, 0.75, *[1] * 7]),
            (
                {"schedule": "cosine", "warmup": 0},
                [(1 + math.cos(math.pi * step / 10)) / 2 for step in range(10)],
            ),
            (
                {"schedule": "cosine", "warmup": 0.2},
                [1 / 3, 2 / 3, *[(1 + math.cos(math.pi * step / 8)) / 2 for step in range(8)]],
            ),
            (
                {"schedule": "step", "warmup": 0},
                [1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001],
            ),
            (
                {"schedule": "step", "warmup": 0.1, "step_size": 0.7, "step_gamma": 0.5},
                [0.5, *[1] * 6, *[0.5] * 3],
            ),
        ],
    )
    def test_each_follows_its_formula(self, settings, expected):
        settings = TrainingConfig(**settings)
        assert [rate_at(step, 10, settings) for step in range(10)] == pytest.approx(expected)
        optimizer, schedule = make_optimizer(nn.Linear(1, 1), settings, 10)
        rates = []
        for _ in range(10):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        assert rates == pytest.approx([0.1 * rate for rate in expected])

    @pytest.mark.parametrize(("steps", "warmup"), [(100, 0.25), (1000, 0.3), (40, 0.5)])
    def test_one_cycle_is_torchs(self, steps, warmup):
        """Up to the step at which the peak lies, which torch puts between two."""
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        theirs = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, 1.0, total_steps=steps, pct_start=warmup, cycle_momentum=False
        )
        for step in range(steps):
            assert one_cycle(step, steps, warmup) == pytest.approx(
                theirs.get_last_lr()[0], abs=4 / steps
            )
            optimizer.step()
            if step + 1 < steps:
                theirs.step()

    @pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "step", "constant"])
    def test_short_ones_are_sound(self, schedule):
        for steps in range(1, 12):
            for warmup in (0.0, 0.01, 0.1, 0.125, 0.25, 0.5, 0.99):
                settings = TrainingConfig(schedule=schedule, warmup=warmup)
                rates = [rate_at(step, steps, settings) for step in range(steps + 2)]
                assert all(0 < rate <= 1 for rate in rates[:steps])
                assert min(rates) >= 0
                if schedule == "one_cycle":
                    assert max(rates) == 1
                    assert steps <= 2 or rates[steps - 1] < 1


class TestAverage:
    def test_it_is_the_average_computed_by_hand(self):
        model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
        average = make_average(model, 0.5)
        by_hand = None
        for step in range(8):
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter += step
            model(torch.full((3, 2), float(step)))
            average.update_parameters(model)
            now = {k: v.clone() for k, v in model.state_dict().items() if v.is_floating_point()}
            keep = min(0.5, (1 + step) / (10 + step))
            if by_hand is None:
                by_hand = now
            else:
                by_hand = {k: keep * v + (1 - keep) * now[k] for k, v in by_hand.items()}
        averaged = average.module.state_dict()
        assert "1.running_mean" in by_hand
        for name, expected in by_hand.items():
            torch.testing.assert_close(averaged[name], expected)

    def test_the_averaged_weights_are_validated_and_saved(self, patterns):
        plain = run_config(
            training__schedule="constant", training__learning_rate=0.1, training__warmup=0.1
        )
        averaged = plain.with_values({"training.ema": 0.98})
        models = [new_model(config, patterns) for config in (plain, averaged)]
        one, other = (
            list(train(config, patterns, CPU, model=model))
            for config, model in zip((plain, averaged), models, strict=True)
        )
        assert [r.train_loss for r in one] == [r.train_loss for r in other]
        assert all(a.val_loss != b.val_loss for a, b in zip(one, other, strict=True))
        _, validation = make_batches(averaged, patterns, CPU)
        saved = evaluate(models[1], validation, FLOAT32)
        assert (saved.loss, saved.accuracy) == (other[-1].val_loss, other[-1].val_accuracy)
