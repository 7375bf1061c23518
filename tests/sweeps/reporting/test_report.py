"""Reports: what they say of a study, and the files that they are written into."""

import json
import math
import re
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import optuna
import pytest
import torch
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects
from safetensors.torch import save_file

from interpodil import expansion_tensor
from storage import batch, create_study, open_storage
from sweeps.reporting.report.dashboard import show_in_dashboard
from sweeps.reporting.report.document import Charts, Code, Table, Warning
from sweeps.reporting.report.files import write_report
from sweeps.reporting.report.glossary import METRICS, SETTINGS
from sweeps.reporting.report.kernels import response
from sweeps.reporting.report.study import study_report
from sweeps.spec.files import load_yaml
from sweeps.spec.layer import LayerConfig
from sweeps.spec.metrics import DIRECTIONS
from sweeps.spec.spec import parse_spec
from sweeps.study.study import open_or_create_study
from sweeps.verdicts import expected_best
from tests.sweeps.browser import CHROMIUM
from tests.sweeps.reporting.conftest import look_at_widths

SPACE = {
    "layer.growth": CategoricalDistribution([5, 7]),
    "layer.edge": FloatDistribution(0.0, 1.0),
    "layer.init_scale": FloatDistribution(0.25, 4.0, log=True),
    "training.learning_rate": FloatDistribution(0.001, 1.0, log=True),
    "layer.stride": IntDistribution(1, 3),
}
HOSTILE = '<script>alert("1")</script> | $x_1$ `a` [b](http://example.org) _c_ \u202e\x00 & ]]>'


@pytest.fixture
def storage(tmp_path):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return open_storage(str(tmp_path / "sweeps.db"), create=True)


@pytest.fixture
def make_study(storage, patterns, small):
    """Makes a study from a spec, with trials whose values follow from their settings."""

    def make(count=12, *, best_at=0.4, name="small", **changes):
        spec = parse_spec({**small, **changes}, "small")
        study = open_or_create_study(storage, spec, name, patterns)

        def add():
            for number, baseline in enumerate(spec.baselines if count else ()):
                _run(study, spec, study.ask(), 0.3 + 0.01 * number, baseline.name)
            for number in range(count):
                study.add_trial(_trial(spec, (number * 0.618034) % 1, number, best_at))

        batch(storage, study._study_id, add)
        return study

    return make


def _config(spec, values):
    return spec.base_config().with_values(values).model_dump(mode="json")


def _run(study, spec, trial, value, name):
    assert trial.user_attrs["configuration"] == name
    trial.set_user_attr("config", _config(spec, trial.user_attrs["overrides"]))
    trial.report(value / 2, 1)
    trial.report(value, 2)
    study.tell(trial, value)


def _trial(spec, share, number, best_at):
    """The value is best where the learning rate is at a share of its range."""
    rate = 10 ** (3 * share - 3)
    params = {
        "layer.growth": (5, 7)[number % 2],
        "layer.edge": share,
        "layer.init_scale": 0.25 * 16**share,
        "training.learning_rate": rate,
        "layer.stride": 1 + number % 3,
    }
    value = 0.6 - 0.4 * abs(share - best_at)
    pruned = number % 4 == 3
    steps = {1: value / 2} if pruned else {1: value / 2, 2: value}
    trial = optuna.trial.create_trial(
        state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
        value=None if pruned else value,
        params=params,
        distributions=SPACE,
        intermediate_values=steps,
        user_attrs={"metrics": {"val_accuracy": value, "step_ms": 10 + 5 * (number % 3)}},
    )
    if number < 12:
        layer = {name: params[name] for name in ("layer.edge", "layer.growth")}
        trial.set_user_attr("config", _config(spec, layer))
    trial.datetime_start = datetime.now() - timedelta(seconds=10)
    trial.datetime_complete = datetime.now()
    return trial


def _blocks(report, kind):
    return [b for blocks in report.contents.values() for b in blocks if isinstance(b, kind)]


class TestAnswer:
    def test_it_compares_the_best_with_the_best_baseline_and_the_noise(self, storage, make_study):
        report = study_report(storage, make_study())
        # 200 validation images: one standard error of 0.6 is 0.035.
        assert re.fullmatch(
            r"The search's best, trial \d+, reached val_accuracy 0\.5\d+ ±0\.03\d+; the best of 2 "
            r"baselines, linear 5x5 \(trial 1\), reached 0\.3100 ±0\.0327\. The search's best is "
            r"0\.2\d+ better\.",
            report.answer,
        )
        assert any("among 9 complete trials" in caveat for caveat in report.caveats)
        # 1.49 is the expected largest of nine standard normal numbers.
        assert any("about 0.051 above" in c or "about 0.052 above" in c for c in report.caveats)
        assert any("one seed" in caveat for caveat in report.caveats)

    def test_a_study_without_a_complete_trial_has_none(self, storage, make_study):
        report = study_report(storage, make_study(0))
        assert report.answer == "There is no answer yet: no trial is complete."
        assert "0 of 6 trials have ended" in report.caveats[0]
        assert not report.charts()

    def test_a_study_that_runs_says_so(self, storage, make_study):
        study = make_study(4, budget={"trials": 30})
        study.ask()
        assert "6 of 30 trials have ended, 1 run" in study_report(storage, study).caveats[0]

    def test_several_objectives_have_a_front(self, storage):
        study = create_study(storage, "two", ["maximize", "minimize"], lambda study: None)
        # They have no names, as another program may leave them.
        for values in ((0.9, 30.0), (0.8, 20.0), (0.8, 25.0)):
            study.add_trial(optuna.trial.create_trial(values=values))
        report = study_report(storage, study)
        assert report.answer.startswith("2 of 3 complete trials are beaten by no other")
        assert [row[0] for row in _blocks(report, Table)[0].rows] == ["0", "1"]
        assert [chart.key for chart in report.charts()] == ["front"]


class TestContents:
    def test_failures_are_counted_with_their_reasons(self, storage, make_study):
        study = make_study(2)
        for _ in range(3):
            trial = study.ask()
            trial.set_user_attr("outcome", "failed")
            trial.set_user_attr("reason", "the disk is full")
            study.tell(trial, state=TrialState.FAIL)
        tables = {
            table.caption: table.rows for table in _blocks(study_report(storage, study), Table)
        }
        assert ["failed", "3", "ended by an error"] in tables[""]
        assert tables["Why trials ended without result"] == [["the disk is full", "3"]]

    @pytest.mark.parametrize(
        ("best_at", "edge"), [(0.0, "lower"), (0.5, None), (1.0, "upper")], ids=str
    )
    def test_a_best_at_the_edge_of_its_range_is_warned_of(self, storage, make_study, best_at, edge):
        report = study_report(storage, make_study(30, best_at=best_at))
        warnings = [w.text for w in _blocks(report, Warning) if "learning_rate" in w.text]
        assert len(warnings) == (edge is not None)
        assert all(f"lies at the {edge} edge of the range 0.001 to 1" in text for text in warnings)

    def test_each_setting_has_its_chart_over_its_whole_range(self, storage, make_study):
        charts = {chart.title: chart for chart in study_report(storage, make_study()).charts()}
        assert set(SPACE) < set(charts)
        rate, growth = charts["training.learning_rate"], charts["layer.growth"]
        assert (rate.log_x, rate.x_range) == (True, (0.001, 1.0))
        assert growth.x_ticks == {0: "5", 1: "7"}

    def test_what_mattered_is_the_setting_that_decides(self, storage, make_study):
        study = make_study(40)
        importance = {c.key: c for c in study_report(storage, study).charts()}["importance"]
        names = importance.marks[0].names
        assert {"layer.growth", "layer.stride"}.isdisjoint(names[:2])
        assert "importance" not in {
            c.key for c in study_report(storage, make_study(4, name="few")).charts()
        }

    def test_the_spec_in_it_makes_the_same_spec(self, storage, make_study, small):
        report = study_report(storage, make_study(1))
        yaml = next(code.text for code in _blocks(report, Code) if code.language == "yaml")
        assert parse_spec(load_yaml(yaml, "report"), "report") == parse_spec(small, "small")

    def test_a_study_of_another_program_has_a_report(self, storage, tmp_path):
        """Values that are infinite, a range that changes, and choices of any kind."""

        def objective(trial):
            x = trial.suggest_float("x", 0, 1 + trial.number / 5)
            whole = trial.suggest_int("whole", 0, 3 + trial.number % 2)
            trial.suggest_categorical("choice", [None, True, "x" * 100, 1.5])
            trial.report(math.nan, 1)
            return math.inf if trial.number % 5 == 0 else x + whole

        study = create_study(storage, "plain", "minimize", lambda study: None)
        study.optimize(objective, n_trials=12)
        report = study_report(storage, study)
        assert report.answer.startswith("The best of 12 complete trials, trial ")
        write_report(report, tmp_path / "report.html")
        show_in_dashboard(report, storage, study)

    def test_all_that_can_be_searched_of_the_layer_is_explained(self):
        assert {f"layer.{name}" for name in LayerConfig.model_fields} <= set(SETTINGS)
        assert set(METRICS) == set(DIRECTIONS)


class TestNumbers:
    def test_the_expected_best_is_the_mean_over_all_draws(self):
        values = [3.0, 1.0, 2.0]
        pairs = [max(a, b) for a in values for b in values]
        triples = [max(a, b, c) for a in values for b in values for c in values]
        means = [2.0, sum(pairs) / 9, sum(triples) / 27]
        assert expected_best(values) == pytest.approx(means, abs=1e-12)

    def test_a_plain_convolution_passes_all_frequencies_alike(self):
        for dilation in (1, 2):
            taps = expansion_tensor(3, dilation, edge=0.0, corner=0.0, fade=0)
            torch.testing.assert_close(response(taps), torch.ones(65, dtype=torch.float64))

    def test_the_linear_tent_passes_what_its_formula_says(self):
        frequencies = torch.linspace(0, math.pi, 65, dtype=torch.float64)
        torch.testing.assert_close(response(expansion_tensor()), (1 + frequencies.cos()) / 2)


class TestTrainedKernels:
    @pytest.fixture
    def weights(self, tmp_path):
        """A file with a kernel whose middle counts twice as much as the rest."""
        kernel = torch.ones(4, 3, 3, 3)
        kernel[..., 1, 1] = -2
        known = {"layers": '["conv1"]', "configuration": "source: {study: small, trial: 1}"}
        save_file({"conv1.weight": kernel}, tmp_path / "own.safetensors", known)
        return tmp_path / "own.safetensors"

    def test_they_are_shown_beside_the_initial_ones(self, storage, make_study, weights):
        charts = {
            chart.title: chart for chart in study_report(storage, make_study(), weights).charts()
        }
        grid = charts["conv1 of trial 1"].marks[0].rows
        assert grid == [[0.5, 0.5, 0.5], [0.5, 1, 0.5], [0.5, 0.5, 0.5]]
        assert "conv1 of trial 1" in [line.name for line in charts["Frequencies that pass"].marks]

    def test_those_of_another_study_are_refused(self, make_study, weights, cli, tmp_path):
        make_study(0, name="other")
        words = f"sweeps: {weights}: holds weights of study small, not of other\n"
        assert cli("report", "--weights", str(weights)) == (1, "", words)
        weights.write_bytes(b"no tensors")
        status, _, error = cli("report", "--weights", str(weights))
        assert (status, error.count("\n"), "has no weights of a study" in error) == (1, 1, True)
        assert not (tmp_path / "report.html").exists()


class _Page(HTMLParser):
    """The elements of a page, and what they refer to."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.references, self.ids = set(), set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.add(tag)
        for name, value in attributes:
            if name.split(":")[-1] in ("href", "src", "action", "data"):
                self.references.add(value.partition(",")[0])
            if name == "id":
                self.ids.append(value)


class TestHtml:
    def test_it_refers_to_nothing_outside(self, storage, make_study, tmp_path):
        write_report(study_report(storage, make_study()), tmp_path / "report.html")
        text = (tmp_path / "report.html").read_text()
        page = _Page(text)
        assert {reference[:1] for reference in page.references} == {"#"}
        assert not re.search(r"url\((?!#)|@import", text)
        assert page.elements.isdisjoint({"script", "link", "iframe", "img"})
        assert {reference[1:] for reference in page.references} <= set(page.ids)

    def test_names_from_people_are_text(self, storage, make_study, tmp_path, small):
        baselines = [{**small["baselines"][0], "name": HOSTILE}]
        study = make_study(6, baselines=baselines, description=HOSTILE)
        report = study_report(storage, study)
        write_report(report, tmp_path / "report.html")
        page = _Page((tmp_path / "report.html").read_text())
        assert page.elements.isdisjoint({"script"})
        assert not any("example.org" in reference for reference in page.references)
        write_report(report, tmp_path / "report.md")
        text = re.sub("```.*?```", "", (tmp_path / "report.md").read_text(), flags=re.DOTALL)
        assert not re.search(r"(?<!\\)<script|(?<!\\)\]\(http|(?<!\\)\$", text)
        row = next(line for line in text.splitlines() if line.startswith("| \\<script"))
        assert len(re.findall(r"(?<!\\)\|", row)) == 5
        for svg in (tmp_path / "report-charts").iterdir():
            ElementTree.parse(svg)

    def test_many_points_become_pixels_so_that_the_file_stays_small(
        self, storage, make_study, tmp_path
    ):
        study = make_study(330)
        write_report(study_report(storage, study), tmp_path / "report.html")
        text = (tmp_path / "report.html").read_text()
        assert "data:image/png;base64" in text
        assert len(text) < 1_000_000

    @pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
    def test_no_width_scrolls_sideways_and_charts_are_readable(
        self, storage, make_study, tmp_path, small
    ):
        baselines = [{**small["baselines"][0], "name": "a-baseline-of-a-long-name" * 3}]
        write_report(
            study_report(storage, make_study(12, baselines=baselines)), tmp_path / "report.html"
        )
        height = "document.querySelector('#course svg text').getBoundingClientRect().height"
        for browser in look_at_widths(tmp_path / "report.html", tmp_path / "profile"):
            assert browser.evaluate(height) >= 9


class TestFiles:
    def test_the_command_writes_it_and_replaces_only_reports(self, make_study, cli, tmp_path):
        make_study(0)
        assert cli("report") == (0, "", "Wrote report.html (study small)\n")
        assert cli("report", "small", "-o", "report.html")[0] == 0
        (tmp_path / "notes.md").write_text("mine")
        status, _, error = cli("report", "-o", "notes.md")
        assert (status, error) == (
            1,
            "sweeps: notes.md: exists and is no report; name another, or replace it with --force\n",
        )
        assert (tmp_path / "notes.md").read_text() == "mine"
        assert not (tmp_path / "notes-charts").exists()
        assert cli("report", "-o", "notes.md", "--force")[0] == 0
        assert cli("report", "-o", "notes.md")[0] == 0

    @pytest.mark.parametrize(
        ("name", "words"),
        [("report.pdf", "ends in .html, .md or .csv"), ("nowhere/report.html", "does not exist")],
    )
    def test_a_file_that_cannot_be_is_refused(self, make_study, cli, name, words):
        make_study(0)
        status, _, error = cli("report", "-o", name)
        assert (status, words in error, error.count("\n")) == (1, True, 1)

    def test_markdown_links_to_its_charts(self, storage, make_study, tmp_path):
        write_report(study_report(storage, make_study()), tmp_path / "a report.md")
        links = re.findall(r"\]\(<(.*?)>\)", (tmp_path / "a report.md").read_text())
        assert len(links) > 5
        assert all((tmp_path / link).is_file() for link in links)

    def test_the_dashboard_gets_the_charts_once(self, storage, make_study, cli, tmp_path):
        study = make_study()
        for _ in range(2):
            status, _, words = cli("report", "--dashboard")
            assert (status, words) == (0, "small: its charts are in `sweeps dashboard`\n")
        assert not Path("report.html").exists()
        attributes = storage.get_study_system_attrs(study._study_id)
        figures = {key: json.loads(t) for key, t in get_plotly_graph_objects(attributes).items()}
        report = study_report(storage, study)
        assert set(figures) == {chart.key for chart in report.charts()}
        assert all(figure["data"] for figure in figures.values())
        assert len(_blocks(report, Charts)) >= 3
