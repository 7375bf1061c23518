"""What is said of comparisons: their reports, and their tables in narrow terminals."""

import io
import json
import math
import re

import pytest
import torch
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects
from rich.console import Console

from interpodil import expansion_tensor
from storage import open_storage, open_study, study_names
from sweeps.reporting.comparison_summary import print_comparison
from sweeps.reporting.report.chart import Intervals
from sweeps.reporting.report.comparison import comparison_report
from sweeps.reporting.report.document import Code, Table, Warning
from sweeps.reporting.report.files import write_report
from sweeps.reporting.report.kernels import expansion
from sweeps.spec.comparison import parse_comparison
from sweeps.spec.files import load_yaml
from sweeps.spec.layer import LayerConfig
from sweeps.study.comparison_reading import read_comparison
from sweeps.study.stages import COMPARISON, find_comparison, stages
from tests.sweeps.browser import CHROMIUM
from tests.sweeps.comparisons import TREE, early_lead, make_comparison
from tests.sweeps.reporting.conftest import look_at_widths

MANY_ARMS = ["plain-3x3", "dilated-3x3", "linear-5x5", "learned-5x5", "linear-7x7", "tuned-7x7"]
MANY_ARMS += ["dense-7x7", "blur-3x3"]


@pytest.fixture(scope="module")
def made(tmp_path_factory, patterns):
    """The file of a finished comparison; a test that changes it takes another."""
    file = tmp_path_factory.mktemp("made") / "sweeps.db"
    make_comparison(open_storage(str(file), create=True), patterns, equal_time=True)
    return file


@pytest.fixture(scope="module")
def finished(made):
    return read_comparison(open_storage(str(made)), "made")


@pytest.fixture(scope="module")
def found(made):
    """Its report."""
    return comparison_report(open_storage(str(made)), "made")


@pytest.fixture
def storage(tmp_path):
    return open_storage(str(tmp_path / "sweeps.db"), create=True)


@pytest.fixture
def report(storage, patterns):
    """Makes a comparison, and its report."""

    def make(**changes):
        make_comparison(storage, patterns, **changes)
        return comparison_report(storage, changes.get("name", "made"))

    return make


def blocks(report, kind):
    return [b for blocks in report.contents.values() for b in blocks if isinstance(b, kind)]


def table(report, caption):
    return next(t for t in blocks(report, Table) if t.caption.startswith(caption))


def charts(report):
    return {chart.key: chart for chart in report.charts()}


class TestAnswer:
    def test_it_says_what_is_declared_of_each_arm(self, report):
        found = report(arms=["plain-3x3", "linear-7x7"])
        assert re.fullmatch(
            r"In test_accuracy, linear-7x7 is worse than plain-3x3 by 0\.0\d{3} \[0\.04\d\d, "
            r"0\.05\d\d\]\.",
            found.answer,
        )
        assert table(found, "Declared").rows[0][:2] == ["linear-7x7", "worse"]
        assert any("wrong at any look" in caveat for caveat in found.caveats)

    def test_without_a_reference_pairs_are_named(self, report):
        found = report(reference=None, seeds=7)
        assert found.answer.startswith("In test_accuracy, plain-3x3 is better than linear-7x7 by 0")
        assert "; linear-7x7 against tuned-5x5 is not resolved: it is" in found.answer
        assert table(found, "Declared").header[:3] == ["arm", "against", "is"]
        assert found.caveats[0].endswith("adds seeds of linear-7x7 and tuned-5x5.")

    @pytest.mark.parametrize(
        ("changes", "answer", "state"),
        [
            ({"tuned": False}, "There is no answer yet", "tuned-5x5 are not tuned."),
            ({"seeds": 3}, "[no interval yet]", "has 6 seeds of each arm, and 3 have ended"),
        ],
    )
    def test_an_unfinished_one_says_so(self, report, tmp_path, changes, answer, state):
        found = report(**changes)
        assert answer in found.answer
        assert state in found.caveats[0]
        write_report(found, tmp_path / "report.html")

    def test_an_arm_that_dies_at_once_has_no_curve(self, report):
        def value(arm, seed, epoch):
            return None if arm == "linear-7x7" else early_lead(arm, seed, epoch)

        ahead = table(report(value=value), "Ahead")
        assert [row[0] for row in ahead.rows] == ["tuned-5x5"]
        assert ahead.header[2:] == ["after epoch 1", "after epoch 3", "after epoch 4"]

    def test_a_name_that_begins_another_is_told_from_it(self, storage, patterns):
        for name in ("made", "made.v2"):
            make_comparison(storage, patterns, name=name, seeds=2)
        assert find_comparison(storage) == "made.v2"
        assert all("v2" not in name for name in stages("made", study_names(storage)))

    def test_an_earlier_one_with_another_margin_is_named(self, report):
        arms = ["plain-3x3", "linear-7x7"]
        report(name="first", arms=arms, seeds=1)
        found = report(name="second", arms=arms, seeds=1, margin=0.02)
        assert any("with other margin: first. Its results" in caveat for caveat in found.caveats)

    def test_an_earlier_one_in_other_words_is_of_the_same_arms(self, storage, report):
        report(name="first", seeds=1)
        home = open_study(storage, "first.confirm")
        written = {**TREE, "name": "first", "metric": "val_accuracy", "reference": "plain-3x3"}
        home.set_user_attr(COMPARISON, written)
        found = report(name="second", seeds=1)
        assert any("of the same arms: first. Its results" in caveat for caveat in found.caveats)

    def test_runs_that_were_short_of_memory_are_named(self, report):
        found = report(seeds=2, micro_batches={"linear-7x7": 4})
        (named,) = (caveat for caveat in found.caveats if "micro_batches" in caveat)
        assert named.startswith("linear-7x7: 2 runs ran out of memory at first")
        assert "in up to 4 parts" in named


class TestContents:
    def test_a_quick_start_with_a_worse_plateau_is_shown(self, found):
        lead = charts(found)["leads-1"].marks[1]
        assert lead.name == "linear-7x7"
        assert lead.y == pytest.approx([0.1, 0.05, 0.0, -0.05], abs=0.003)
        # What a seed does to all arms alike is not in the paired difference's band.
        wide = next(
            m for m in charts(found)["curves-val_accuracy-1"].marks if m.name == "linear-7x7"
        )
        width = [line.high[0] - line.low[0] for line in (lead, wide)]
        assert width[0] < width[1] / 4
        assert table(found, "Ahead").rows[0][:2] == ["linear-7x7", "ahead, then behind"]

    def test_the_course_of_each_sequence_is_the_verdicts(self, found, finished):
        pair, course = finished.pairs[0], charts(found)["sequence-0"]
        band = next(m for m in course.marks if getattr(m, "low", None))
        assert band.x == [n for n in range(1, 9) if math.isfinite(pair.low[n - 1])]
        assert band.low[-1] == pair.verdict.low
        margin = {mark.y[0] for mark in course.marks if mark.y[0] == mark.y[-1]}
        assert {0.005, -0.005} <= margin
        (overview,) = charts(found)["verdicts"].marks
        assert isinstance(overview, Intervals)
        assert (overview.low[0], overview.margin) == (pair.verdict.low, 0.005)

    def test_dead_runs_count_and_are_listed(self, report):
        def dies(arm, seed, epoch):
            return None if arm == "linear-7x7" and seed == 2 and epoch > 1 else 0.4 + seed / 1000

        found = report(value=dies)
        ends = {row[0]: row[1:] for row in table(found, "Trials of").rows}
        # Two stages of four trials each, of which one is pruned.
        assert ends["linear-7x7"] == ["6", "2", "0", "0", "0", "8", "1"]
        assert ends["plain-3x3"][-1] == "0"
        assert table(found, "How runs died").rows == [
            ["linear-7x7", "diverged: the loss was not finite", "1"]
        ]
        assert ["2", "0.4020", "died", "0.4020"] in table(found, "test_accuracy by seed").rows

    def test_each_arm_warns_of_its_edge_and_has_its_own_settings(self, report):
        found = report(search={"training.learning_rate": {"float": [0.1, 1.0], "log": True}})
        texts = [warning.text for warning in blocks(found, Warning)]
        for arm in ("plain-3x3", "linear-7x7", "tuned-5x5"):
            start = f"{arm}: training.learning_rate: the best value found, 0.1, lies at the lower"
            assert any(text.startswith(start) for text in texts)
        (edge,) = (c for c in found.charts() if c.title == "layer.edge")
        assert {mark.name for mark in edge.marks if mark.name} == {"tuned-5x5"}

    def test_equal_time_has_its_own_verdicts(self, found):
        # Half of the epochs are too few for them.
        words = [row[1] for row in table(found, "Declared at equal time").rows]
        assert words == ["worse", "worse"]
        assert "equal-time" in charts(found)

    def test_equal_time_that_is_no_longer_asked_for_is_left_out(self, storage, report):
        report(equal_time=True, seeds=2)
        home = open_study(storage, "made.confirm")
        home.set_user_attr(COMPARISON, home.user_attrs[COMPARISON] | {"equal_time": False})
        found = comparison_report(storage, "made")
        assert not found.contents["At equal time"]

    @pytest.mark.parametrize("reference", ["tuned-5x5", None])
    def test_the_spec_in_it_makes_the_same_comparison(self, storage, report, reference):
        found = report(reference=reference, seeds=1)
        yaml = next(code.text for code in blocks(found, Code) if code.language == "yaml")
        again = parse_comparison(load_yaml(yaml, "report"), "report")
        assert again == read_comparison(storage, "made").spec
        assert ["confirming seeds", "1 to 1"] in table(found, "What it ran on").rows

    def test_what_mattered_is_told_from_ten_explored_trials_on(self, found, report):
        caption = "How much each setting told"
        assert not any(t.caption.startswith(caption) for t in blocks(found, Table))
        more = report(explored=12, seeds=1, arms=["plain-3x3", "tuned-5x5"])
        rows = {row[0]: row[1:] for row in table(more, caption).rows}
        assert rows["plain-3x3"] == ["100%", "-", "-"]

    def test_the_kernel_of_a_blur_is_that_of_both(self):
        layer = LayerConfig(blur=True, dilation=1, growth=3)
        line = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64) / 4
        plain = expansion_tensor(3, 1, growth=3)
        corner = torch.zeros(5, 5, dtype=torch.float64)
        corner[:3, :3] = torch.outer(line, line)
        assert plain[0].sum() == 1
        torch.testing.assert_close(expansion(layer)[0].double(), corner)


class TestFiles:
    @pytest.mark.slow
    def test_many_arms_stay_small_and_readable(self, report, tmp_path):
        found = report(arms=MANY_ARMS, seeds=9)
        assert found.answer == (
            "In test_accuracy against plain-3x3: dilated-3x3, linear-5x5, learned-5x5, linear-7x7, "
            "tuned-7x7, dense-7x7 and blur-3x3 are worse."
        )
        lines = [c for c in found.charts() if c.key.startswith(("curves", "leads"))]
        assert all(len([m for m in c.marks if m.name]) <= 5 for c in lines)
        write_report(found, tmp_path / "report.html")
        assert (tmp_path / "report.html").stat().st_size < 750_000

    @pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
    def test_no_width_scrolls_sideways(self, found, tmp_path):
        write_report(found, tmp_path / "report.html")
        assert len(list(look_at_widths(tmp_path / "report.html", tmp_path / "profile"))) == 3

    def test_the_command_takes_the_comparison_by_its_name_and_by_default(self, made, cli, tmp_path):
        storage = ("--storage", str(made))
        words = "Wrote report.html (comparison made)\n"
        assert cli("report", *storage) == (0, "", words)
        assert "Report of a comparison" in (tmp_path / "report.html").read_text()
        assert cli("report", "made", "-o", "report.md", *storage)[0] == 0
        assert (tmp_path / "report-charts" / "verdicts.svg").is_file()
        # Its studies have reports of their own.
        status, _, words = cli("report", "made.tune.plain-3x3", *storage)
        assert (status, words) == (0, "Wrote report.html (study made.tune.plain-3x3)\n")
        status, _, words = cli("report", "other", *storage)
        assert (status, words.count("\n")) == (1, 1)

    def test_the_dashboard_gets_the_charts_once(self, made, found, cli):
        for _ in range(2):
            assert cli("report", "--dashboard", "--storage", str(made)) == (
                0,
                "",
                "made.confirm: its charts are in `sweeps dashboard`\n",
            )
        opened = open_storage(str(made))
        home = open_study(opened, "made.confirm")
        attributes = opened.get_study_system_attrs(home._study_id)
        figures = {key: json.loads(t) for key, t in get_plotly_graph_objects(attributes).items()}
        assert {*figures} == {*charts(found)}
        assert all(figure["data"] for figure in figures.values())


@pytest.mark.parametrize("width", [50, 80, 200])
def test_no_terminal_is_so_narrow_that_names_are_cut(finished, width):
    console = Console(file=io.StringIO(), width=width)
    print_comparison(console, finished, "here")
    text = console.file.getvalue()
    assert "…" not in text
    assert all(re.search(rf"(?m)^\s*{arm}\s", text) for arm in ("plain-3x3", "linear-7x7"))
    # Nor are numbers: the last column's are there.
    rows = re.findall(r"(?m)^ *(?:plain-3x3|linear-7x7|tuned-5x5) .*?([\d,]+)$", text)
    assert {str(arm.epochs) for arm in finished.arms.values()} <= set(rows)
