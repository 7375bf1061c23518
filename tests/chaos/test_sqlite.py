"""Workers on a SQLite file that are killed, suspended and asked to stop, at random moments."""

from dataclasses import replace

import pytest

from tests.chaos.running import KILLS, check_chaos, run_through_kills


@pytest.mark.parametrize("kills", KILLS, indirect=True)
def test_kills(settings, kills):
    story = run_through_kills(replace(settings, kills=kills))
    print(f"SQLite: {story}")
    check_chaos(story, kills)
    assert not story.errors
