"""Exported configurations: what a file says of itself, and what it replaces."""

from pathlib import Path

import optuna
import pytest

from storage import end_trial, open_storage
from sweeps.export.exported import describe_environment, read_exported
from sweeps.export.retrain import EpochLines
from sweeps.spec.spec import parse_spec
from sweeps.study import attributes
from sweeps.study.study import open_or_create_study


@pytest.fixture
def finish_study(tmp_path, patterns, small):
    """Makes a study with one complete trial, without any training."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = open_storage(str(tmp_path / "sweeps.db"), create=True)

    def finish(name, **values):
        spec = parse_spec(small, "small")
        study = open_or_create_study(storage, spec, name, patterns)
        trial = study.ask()
        config = spec.base_config().with_values(values).model_dump(mode="json")
        trial.set_user_attr(attributes.CONFIG, config)
        environment = describe_environment("cpu", 1).model_dump(mode="json")
        trial.set_user_attr(attributes.ENVIRONMENT, environment)
        end_trial(storage, study, trial.number, "completed", value=0.5)

    return finish


class TestReplacing:
    def test_one_of_another_study_is_reported_with_both_names(self, finish_study, cli):
        finish_study("first")
        finish_study("second")
        assert cli("export", "first", "-o", "best.yaml") == (
            0,
            "",
            "Wrote best.yaml (study first, trial 0, the baseline 'plain 3x3')\n",
        )
        assert cli("export", "second", "-o", "best.yaml") == (
            0,
            "",
            "Wrote best.yaml (study second, trial 0, the baseline 'plain 3x3'), "
            "in place of study first, trial 0\n",
        )

    @pytest.mark.parametrize("content", ["source:\n", "source: {study: 3}\n", "source: [1]\n"])
    def test_one_that_was_written_by_hand_is_replaced(self, finish_study, cli, tmp_path, content):
        finish_study("first")
        (tmp_path / "best.yaml").write_text(content)
        status, _, err = cli("export", "-o", "best.yaml")
        assert status == 0
        assert err.startswith("Wrote best.yaml (study first, trial 0, the baseline 'plain 3x3')")

    def test_any_other_file_is_replaced_by_force_alone(self, finish_study, cli, tmp_path):
        finish_study("first")
        (tmp_path / "best.yaml").write_text("name: a spec\n")
        status, _, err = cli("export", "-o", "best.yaml")
        assert status == 1
        assert "best.yaml: exists and is no exported configuration" in err
        assert cli("export", "-o", "best.yaml", "--force")[0] == 0


class TestText:
    def test_what_goes_to_stdout_is_utf_8_whatever_the_terminal_takes(
        self, finish_study, place, small, tmp_path
    ):
        small["baselines"][0]["name"] = "größer ≥ 5"
        finish_study("first")
        place.environment["PYTHONIOENCODING"] = "latin-1"
        with (tmp_path / "best.yaml").open("wb") as file:
            assert place.start("export", stdout=file, stderr=None).wait() == 0
        assert read_exported(tmp_path / "best.yaml").source.baseline == "größer ≥ 5"

    @pytest.mark.parametrize("name", ["a\nlayer: 3.yaml", "with space.yaml"])
    def test_a_strange_name_of_the_file_does_not_spoil_it(self, finish_study, cli, tmp_path, name):
        finish_study("first")
        assert cli("export", "-o", name)[0] == 0
        assert read_exported(tmp_path / name).source.study == "first"


def test_large_metrics_of_an_epoch_are_written_whole(capsys):
    lines = EpochLines(["images_per_second"])
    lines.show(1, {"images_per_second": 22630.8})
    assert capsys.readouterr().out.split() == ["epoch", "images_per_second", "1", "22630"]


@pytest.mark.parametrize("of_spec", ["sgd", {"import": f"{__name__}:finish_study"}])
def test_an_optimizer_that_a_baseline_brings_is_exported(finish_study, small, cli, of_spec):
    small["training"]["optimizer"] = of_spec
    nadam = {"import": "torch.optim:NAdam", "options": {}}
    finish_study("it", **{"training.optimizer": nadam})
    assert cli("export", "it", "-o", "best.yaml")[0] == 0
    exported = read_exported(Path("best.yaml"))
    assert exported.training.optimizer.import_ == "torch.optim:NAdam"
    assert exported.code == {}
