"""`sweeps compare` in real processes, with a training loop of a person's own that takes no time."""

import csv
import json
import re
import signal
from pathlib import Path

import optuna
import pytest

from storage import open_storage, open_study, study_names
from sweeps import open_comparison
from sweeps.errors import SweepsError
from sweeps.export.exported import read_exported
from sweeps.runner.comparison import run_comparison
from sweeps.spec.comparison import parse_comparison
from sweeps.study.comparison_reading import read_comparison
from tests.sweeps.conftest import Place
from tests.sweeps.waiting import wait_for

LOOP = """
import os
import random
import time
from pathlib import Path

import sweeps

def train(context):
    fit(context, 0.0)

def confirm(context):
    Path("touched").touch()
    fit(context, 0.25)

def fit(context, test):
    options = context.options
    for epoch in range(1, context.config.training.epochs + 1):
        while test and Path("wait").exists() and not context.should_stop():
            time.sleep(0.05)
        if context.should_stop():
            raise sweeps.Interrupted
        # The same for all arms of a seed, and a little of the arm's own.
        noise = random.Random(context.seed).gauss(0, 0.05)
        noise += random.Random(f"{context.seed} {options}").gauss(0, 0.003)
        score = options["level"] - (options["lr"] - 0.3) ** 2 + noise
        last = epoch == context.config.training.epochs
        if last and test and options["dies"] and context.seed % options["dies"] == 0:
            raise sweeps.Diverged("the loss was not finite")
        extra = {"test_score": score + test} if last and test else {}
        context.report(epoch, score=score, **extra)
"""

TOY = {
    "name": "toy",
    "objective": "loops:train",
    "confirm": {
        "objective": "loops:confirm",
        "metric": {"name": "test_score", "direction": "maximize"},
    },
    "options": {"level": 0.5, "lr": 0.3, "dies": 0},
    "metric": {"name": "score", "direction": "maximize"},
    "dead_value": 0.0,
    "training": {"epochs": 2},
    "search": {"options.lr": {"float": [0.0, 1.0]}},
    "arms": {
        "plain": {},
        "wide": {"set": {"options.level": 0.52}},
        "frail": {"set": {"options.dies": 3}},
    },
    "margin": 0.005,
    "budget": {"explore": 2, "tune": 3, "most_seeds": 8},
    "pruner": {"name": "none"},
}


def in_place(place: Place, tree=TOY) -> Place:
    (place.folder / "loops.py").write_text(LOOP)
    place.write_spec(tree)
    return place


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data_dir):
    """A comparison that ran to its end, and what it printed."""
    place = in_place(Place(tmp_path_factory.mktemp("compared"), data_dir))
    notify = 'echo "$SWEEPS_TEXT" >> notified'
    done = place.run("compare", "spec.yaml", "--workers", "1", "--notify-command", notify)
    assert done.returncode == 0, done.stderr
    return place, done


@pytest.fixture
def comparison(finished):
    place, _ = finished
    return open_comparison("toy", str(place.folder / "sweeps.db"))


@pytest.fixture
def there(finished, cli, monkeypatch):
    """The command line in this process, in the folder of the finished comparison."""
    place, _ = finished
    monkeypatch.chdir(place.folder)
    monkeypatch.delenv("COLUMNS", raising=False)
    return cli


class TestFinished:
    def test_one_notification_tells_of_its_end(self, finished):
        place, _ = finished
        assert (place.folder / "notified").read_text() == "toy is finished\n"

    def test_every_stage_is_an_ordinary_study(self, finished):
        place, _ = finished
        storage = open_storage(str(place.folder / "sweeps.db"))
        arms = ("plain", "wide", "frail")
        expected = {f"toy.{stage}.{arm}" for stage in ("explore", "tune") for arm in arms}
        assert {*study_names(storage)} == expected | {"toy.confirm"}
        for arm in arms:
            assert len(open_study(storage, f"toy.explore.{arm}").trials) == 2
            tuned = open_study(storage, f"toy.tune.{arm}").trials
            assert len(tuned) == 3
            # Tuning goes on from what was explored: it does not try the same again.
            tried = [
                t.params
                for name in ("explore", "tune")
                for t in open_study(storage, f"toy.{name}.{arm}").trials
            ]
            assert len({t["options.lr"] for t in tried}) == len(tried)
            # Selection saw one seed, and nothing of the test part.
            assert {trial.user_attrs["config"]["seed"] for trial in tuned} == {0}
            assert not any("test_score" in trial.user_attrs["metrics"] for trial in tuned)

    def test_which_stage_runs_is_said_and_how_long_all_will_take(self, finished):
        said = re.findall(r"stage (\d) of 7: (.*)", finished[1].stderr)
        titles = [f"{stage} {arm}" for stage in ("explore", "tune") for arm in TOY["arms"]]
        # The rounds of confirming runs are one stage.
        numbers, words = zip(*said[:7], strict=True)
        assert numbers == tuple("1234567")
        assert {number for number, _ in said[7:]} <= {"7"}
        assert words[0] == titles[0]
        for title, said_of_it in zip([*titles, "confirm"][1:], words[1:], strict=True):
            assert re.fullmatch(rf"{title}, about \d+:\d\d left in all", said_of_it)

    def test_arms_are_confirmed_on_the_same_fresh_seeds_with_their_best_settings(
        self, finished, comparison
    ):
        for arm in comparison.arms.values():
            assert [run.seed for run in arm.runs] == [*range(1, len(arm.runs) + 1)]
            best = max([*arm.explored, *arm.searched])
            assert arm.choice.value == best
            assert arm.choice.study.startswith("toy.")
        storage = open_storage(str(finished[0].folder / "sweeps.db"))
        for trial in open_study(storage, "toy.confirm").trials:
            choice = comparison.arms[trial.user_attrs["configuration"]].choice
            options = trial.user_attrs["config"]["options"]
            assert options["lr"] == choice.values["options.lr"]

    def test_a_difference_of_four_margins_is_found_and_dead_runs_count(self, comparison):
        verdicts = {pair.arm: pair for pair in comparison.pairs}
        assert verdicts["wide"].verdict.declaration == "better"
        assert verdicts["wide"].probability == 1
        # Whatever the runs of a seed have in common is not in their difference.
        assert all(0 < d < 0.05 for d in verdicts["wide"].differences)
        frail = comparison.arms["frail"]
        dead = [run for run in frail.runs if run.death]
        assert [run.seed for run in dead] == [s for s in range(1, len(frail.runs) + 1) if not s % 3]
        assert all(run.value == 0 and "not finite" in run.death for run in dead)
        # The settled arm got no more seeds; the others had all that there are.
        assert len(comparison.arms["wide"].runs) < 8
        assert len(frail.runs) == len(comparison.arms["plain"].runs) == 8

    def test_what_is_printed(self, finished):
        _, done = finished
        assert "wide is better than plain by 0.0" in done.stdout
        assert "frail against plain is not resolved: it is behind by" in done.stdout
        assert "frail: 2 runs died, counted as such (diverged: the loss was not" in done.stdout
        assert "That one of the 2 verdicts or more is wrong at any look has a" in done.stdout

    def test_typed_again_it_does_nothing_and_says_the_same(self, finished, there):
        _, done = finished
        code, out, err = there("compare", "spec.yaml", "--workers", "1")
        assert (code, err) == (0, "")
        assert out.strip() == done.stdout.strip()

    def test_every_epoch_is_a_row_for_other_programs(self, finished, there, comparison):
        assert there("report", "toy", "-o", "records.csv")[0] == 0
        with (finished[0].folder / "records.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        arms = comparison.arms.values()
        assert len(rows) == sum(arm.epochs for arm in arms)
        for arm in arms:
            for run in arm.runs:
                own = [
                    row
                    for row in rows
                    if row["study"] == "toy.confirm" and row["trial"] == str(run.trial)
                ]
                assert {(row["configuration"], row["seed"]) for row in own} == {
                    (arm.name, str(run.seed))
                }
                assert {int(row["epoch"]): float(row["score"]) for row in own} == run.curve
        (finished[0].folder / "notes.csv").write_text("mine\n")
        status, _, err = there("report", "toy", "-o", "notes.csv")
        assert (status, "exists and is no table of epochs" in err) == (1, True)

    def test_its_status_is_its_arms_and_verdicts(self, finished, there):
        status, out, _ = there("status", "toy")
        assert there("status")[1] == out
        assert (status, out) == (0, finished[1].stdout)
        assert there("status", "toy", "--json")[1] == there("compare", "spec.yaml", "--json")[1]

    def test_a_name_that_is_almost_its_own_is_told_it(self, there):
        for command in ("status", "report", "export"):
            status, _, err = there(command, "tyo")
            assert (status, "no such study" in err) == (1, True)
            assert err.endswith("did you mean toy?\n")
        assert there("status", "toy.tune.wid")[2].endswith("did you mean toy.tune.wide?\n")

    def test_json_has_all_of_it(self, there, comparison):
        code, out, _ = there("compare", "spec.yaml", "--json")
        assert code == 0
        tree = json.loads(out)
        assert [arm["name"] for arm in tree["arms"]] == ["plain", "wide", "frail"]
        assert tree["pairs"][0]["differences"] == comparison.pairs[0].differences
        assert tree["pairs"][0]["low"][0] is None

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"margin": 0.01}, "margin"),
            ({"error": 0.1}, "error"),
            ({"confirm": {**TOY["confirm"], "metric": TOY["metric"]}}, "confirm.metric.name"),
            ({"arms": {**TOY["arms"], "more": {"set": {"options.dies": 7}}}}, "arms.more"),
            ({"budget": {**TOY["budget"], "tune": 4}}, "budget.tune"),
        ],
    )
    def test_another_question_is_another_comparison(self, finished, there, change, named):
        place, _ = finished
        place.write_spec(TOY | change, "changed.yaml")
        code, _, err = there("compare", "changed.yaml")
        assert code == 1
        assert err.startswith("sweeps: toy: this comparison was begun with other settings (")
        assert named in err
        assert "--study NAME" in err

    def test_the_declared_winner_is_exported_with_its_verdict_and_trains_again(
        self, there, comparison
    ):
        code, _, err = there("export", "toy", "-o", "best.yaml", "--force")
        assert (code, "wide is better than plain by 0.0" in err) == (0, True)
        source = read_exported(Path("best.yaml")).source
        confirmed, (pair, *_) = source.confirmed, comparison.pairs
        assert (confirmed.comparison, confirmed.arm, confirmed.metric) == (
            "toy",
            "wide",
            "test_score",
        )
        assert confirmed.seeds == [run.seed for run in comparison.arms["wide"].runs]
        verdict = confirmed.verdicts["plain"]
        assert (verdict.declaration, verdict.low) == ("better", pair.verdict.low)
        code, out, _ = there("train", "best.yaml")
        assert (code, f"the same as trial {source.trial} of {source.study}" in out) == (0, True)

    def test_any_arm_is_exported_by_its_name(self, there):
        code, out, err = there("export", "--arm", "frail")
        assert (code, "frail against plain is not resolved" in err) == (0, True)
        assert "died: 2" in out
        assert there("export", "toy", "--arm", "none")[2] == (
            "sweeps: toy: no such arm; there are: plain, wide, frail\n"
        )
        assert there("export", "toy", "--top", "2")[0] == 2
        assert there("export", "toy.tune.wide", "--arm", "wide")[0] == 2

    def test_its_report(self, there):
        """A training loop of one's own has no images, layers or costs to speak of."""
        code, _, err = there("report", "--force")
        assert (code, err) == (0, "Wrote report.html (comparison toy)\n")
        text = Path("report.html").read_text()
        assert "wide is better than plain by 0.0" in text
        assert "interpodilated" not in text

    def test_studies_of_a_comparison_are_not_run_with_another_spec(self, there):
        code, _, err = there("run", "spec.yaml")
        assert (code, err) == (1, "sweeps: spec.yaml: is a comparison; sweeps compare spec.yaml\n")

    def test_a_study_and_a_comparison_never_have_one_name(self, finished, there):
        place, _ = finished
        of_comparisons = ("arms", "confirm", "margin", "dead_value")
        tree = {name: value for name, value in TOY.items() if name not in of_comparisons}
        place.write_spec({**tree, "budget": {"trials": 1}}, "sweep.yaml")
        code, _, err = there("run", "sweep.yaml", "--workers", "1")
        assert code == 1
        assert "toy: sqlite:///sweeps.db holds a comparison of this name; give the study" in err
        code, _, err = there("compare", "spec.yaml", "--study", "toy.confirm")
        assert code == 1
        assert "toy.confirm: sqlite:///sweeps.db holds a study of this name; give the comp" in err


def test_interrupted_killed_and_given_more_it_goes_on_and_names_the_earlier_one(place):
    """The arms' runs wait for a file to go, so the signals come in the middle of a stage."""
    arms = {"plain": {}, "wide": {"set": {"options.level": 0.502}}}
    in_place(place, TOY | {"arms": arms, "budget": {"explore": 0, "tune": 1, "most_seeds": 5}})
    (place.folder / "wait").touch()
    touched = place.folder / "touched"
    for number in (signal.SIGINT, signal.SIGKILL):
        run = place.start("compare", "spec.yaml", "--workers", "1")
        wait_for(touched.exists, "the first confirming run")
        touched.unlink()
        run.send_signal(number)
        run.communicate(timeout=60)
        assert run.returncode == (130 if number == signal.SIGINT else -number)
    (place.folder / "wait").unlink()
    done = place.run("compare", "spec.yaml", "--workers", "1")
    assert done.returncode == 0, done.stderr
    storage = open_storage(str(place.folder / "sweeps.db"))
    before = read_comparison(storage, "toy")
    assert [len(arm.runs) for arm in before.arms.values()] == [5, 5]
    assert not any(run.death for arm in before.arms.values() for run in arm.runs)

    more = place.run("compare", "spec.yaml", "--most-seeds", "7", "--workers", "1")
    assert more.returncode == 0, more.stderr
    after = read_comparison(storage, "toy")
    assert [len(arm.runs) for arm in after.arms.values()] == [7, 7]
    assert after.pairs[0].differences[:5] == before.pairs[0].differences
    assert after.arms["wide"].choice == before.arms["wide"].choice

    place.write_spec(TOY | {"arms": arms, "budget": {"explore": 0, "tune": 1}, "margin": 0.1})
    other = place.run("compare", "spec.yaml", "--study", "second", "--workers", "1")
    assert other.returncode == 0, other.stderr
    assert "wide equals plain within the margin of 0.1" in other.stdout
    assert "an earlier comparison on these images, with other margin: toy." in other.stdout


def test_from_python_too_the_end_of_its_time_is_said(place, monkeypatch, capsys):
    monkeypatch.chdir(place.folder)
    monkeypatch.syspath_prepend(place.folder)
    in_place(place)
    spec = parse_comparison(TOY | {"budget": {**TOY["budget"], "minutes": 1e-9}}, "toy")
    assert not run_comparison(spec, workers=1).arms["plain"].explored
    assert capsys.readouterr().err == "toy: the time is up; run it again to resume\n"


def test_arms_tuned_with_unequal_budgets_are_refused(place, monkeypatch):
    """One arm gets more trials behind the comparison's back."""
    from sweeps import run_sweep

    monkeypatch.chdir(place.folder)
    monkeypatch.syspath_prepend(place.folder)
    arms = {"plain": {}, "wide": {"set": {"options.level": 0.6}}}
    tree = TOY | {"arms": arms, "budget": {"explore": 0, "tune": 1}}
    in_place(place, tree)
    spec = parse_comparison(tree, "toy")
    tune = spec.tune_spec("wide")
    budget = tune.budget.model_copy(update={"trials": 2})
    run_sweep(tune.model_copy(update={"budget": budget}), study="toy.tune.wide", workers=1)
    with pytest.raises(SweepsError, match=r"toy\.tune\.wide: has 2 trials, and other arms have 1"):
        run_comparison(spec, workers=1)
    assert not optuna.load_study(study_name="toy.confirm", storage=open_storage("sweeps.db")).trials
