"""Workers on a SQLite file that are killed, suspended and asked to stop, at random moments."""

from dataclasses import replace

import pytest

from tests.chaos.running import check_chaos, run_through_kills


@pytest.mark.parametrize("kills", [20, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.timeout(900)
def test_kills(settings, kills):
    story = run_through_kills(replace(settings, kills=kills))
    print(f"SQLite: {story}")
    check_chaos(story, kills)
    assert not story.complaints


@pytest.mark.nightly
@pytest.mark.timeout(0)
def test_kills_all_night(settings, request):
    kills = request.config.getoption("--kills", default=3000)
    story = run_through_kills(replace(settings, kills=kills))
    print(f"SQLite: {story}")
    check_chaos(story, kills)
    assert not story.complaints
