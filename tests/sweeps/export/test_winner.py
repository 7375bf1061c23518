"""Which arm of a comparison is exported."""

import re

import pytest

from storage import open_storage
from sweeps.spec.files import load_yaml
from tests.sweeps.comparisons import make_comparison


@pytest.fixture
def make(tmp_path, patterns):
    def make(**changes):
        storage = open_storage(str(tmp_path / "sweeps.db"), create=True)
        make_comparison(storage, patterns, **changes)

    return make


def level(**levels):
    """Arms that reach their levels in every epoch, but for a little noise by the seed."""
    return lambda arm, seed, epoch: levels[re.sub(r"\W", "_", arm)] + seed % 3 / 1e4 * len(arm)


def test_the_reference_wins_where_all_others_are_worse(make, cli):
    make(value=level(plain_3x3=0.6, linear_7x7=0.5, tuned_5x5=0.4))
    code, out, err = cli("export")
    assert code == 0
    assert "plain-3x3 is better than linear-7x7 by 0.0" in err
    source = load_yaml(out, "exported")["source"]
    assert (source["study"], source["baseline"]) == ("made.tune.plain-3x3", None)
    found = {arm: v["declaration"] for arm, v in source["confirmed"]["verdicts"].items()}
    assert found == {"linear-7x7": "better", "tuned-5x5": "better"}
    assert all(v["low"] > 0.09 for v in source["confirmed"]["verdicts"].values())


def test_of_two_that_beat_the_reference_the_one_with_the_best_mean(make, cli):
    make(value=level(plain_3x3=0.4, linear_7x7=0.5, tuned_5x5=0.6))
    code, out, err = cli("export", "made")
    assert code == 0
    assert "arm: tuned-5x5" in out
    assert "So is linear-7x7; tuned-5x5 was not compared with linear-7x7." in err


@pytest.mark.parametrize("reference", ["plain-3x3", None])
def test_none_is_exported_where_none_is_declared_better(make, cli, tmp_path, reference):
    make(value=level(plain_3x3=0.5, linear_7x7=0.5, tuned_5x5=0.4), reference=reference)
    code, out, err = cli("export", "-o", "best.yaml")
    than = "plain-3x3" if reference else "all others"
    assert (code, out) == (1, "")
    assert err == (
        f"sweeps: made: no arm is declared better than {than}; to export one all the same, name "
        "it: --arm plain-3x3 | linear-7x7 | tuned-5x5; or name another study\n"
    )
    assert not (tmp_path / "best.yaml").exists()
    assert cli("export", "--arm", "linear-7x7", "-o", "best.yaml")[0] == 0
    assert (tmp_path / "best.yaml").exists()


def test_an_arm_that_is_not_tuned_has_nothing_to_export(make, cli):
    make(tuned=False)
    words = "sweeps: made: linear-7x7 is not tuned yet; resume the comparison first\n"
    assert cli("export", "--arm", "linear-7x7") == (1, "", words)
