"""The dashboard in a real browser: a study of hundreds of trials, by day and by night."""

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from storage import open_storage, transaction
from sweeps.study.notes import append_note, write_note
from tests.sweeps.browser import CHROMIUM, Browser
from tests.sweeps.conftest import Place
from tests.sweeps.dashboards import Dashboard

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

TOKEN = "a-token-for-the-browser"
TRIALS = 300
SPACE = {
    "training.learning_rate": FloatDistribution(1e-3, 1.0, log=True),
    "layer.growth": CategoricalDistribution([3, 5, 7]),
}

# What the page shows, in the words of its own document.
POINTS = "document.querySelectorAll('.js-plotly-plot .scatterlayer .point').length"
GRAPHS = "document.querySelectorAll('.js-plotly-plot .plot-container .main-svg').length"
TEXT = "document.body?.innerText"
BRIGHTNESS = """(() => {
  const color = getComputedStyle(document.body).backgroundColor;
  const [red, green, blue] = color.match(/[\\d.]+/g).map(Number);
  return (red + green + blue) / 3;
})()"""


def _finished(number):
    """A trial whose figures follow from its number."""
    share = number * 7919 % TRIALS / TRIALS
    value = 0.9 - (share - 0.6) ** 2
    return create_trial(
        params={
            "training.learning_rate": 10 ** (-3 * share),
            "layer.growth": (3, 5, 7)[number % 3],
        },
        distributions=SPACE,
        value=value,
        # Few, for Optuna takes its time to write them.
        intermediate_values={1: value / 2, 2: value} if number % 10 == 0 else {},
        state=TrialState.PRUNED if number % 4 == 3 else TrialState.COMPLETE,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a study of hundreds of trials; the first one has a note."""
    folder = tmp_path_factory.mktemp("dashboard")
    storage = open_storage(str(folder / "sweeps.db"), create=True)
    study = optuna.create_study(storage=storage, study_name="hundreds", direction="maximize")
    with transaction(storage.engine, study._study_id):
        trial = study.ask(SPACE)
        write_note(trial, "The **note** of a trial")
        append_note(trial, "```\nTraceback (most recent call last)\n```")
        study.tell(trial, 0.5)
        study.add_trials(_finished(number) for number in range(1, TRIALS))
    return Place(folder, folder)


@pytest.fixture(scope="module")
def dashboard(place):
    with Dashboard(place, "--writable", SWEEPS_TOKEN=TOKEN) as dashboard:
        yield dashboard


@pytest.fixture
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_a_study_of_hundreds_of_trials_is_browsed(dashboard, browser, scheme, tmp_path):
    def look(name):
        """Keep a picture, and see that the page is as bright as it should be."""
        browser.take_picture(tmp_path / f"{name}-{scheme}.png")
        assert (browser.evaluate(BRIGHTNESS) > 128) == (scheme == "light"), name

    browser.prefer(scheme)
    browser.visit(f"{dashboard.address}/dashboard/studies/1")
    browser.wait_for("document.activeElement?.id === 'token'")
    look("login")
    browser.type(TOKEN)
    browser.press_enter()

    browser.wait_for(f"{POINTS} >= {TRIALS - 100}", seconds=120)
    browser.wait_for(f"{TEXT}.includes('Hyperparameter Importance')")
    browser.wait_for(f"{GRAPHS} >= 3")
    assert browser.evaluate("location.pathname") == "/dashboard/studies/1"
    look("study")

    browser.visit(f"{dashboard.address}/dashboard/studies/1/trials?numbers=0")
    browser.wait_for(f"{TEXT}?.includes('{TRIALS} Trials')", seconds=120)
    browser.wait_for(f"{TEXT}.includes('Trial 8') && {TEXT}.includes('Pruned')")
    browser.wait_for("document.querySelector('strong')?.textContent === 'note'")
    browser.wait_for(f"{TEXT}.includes('Traceback (most recent call last)')")
    look("trial")

    assert browser.complaints == []


def test_the_page_may_change_what_it_shows_and_then_log_out(dashboard, browser):
    browser.visit(f"{dashboard.address}/?token={TOKEN}")
    browser.wait_for("location.pathname.startsWith('/dashboard')")
    assert TOKEN not in browser.evaluate("location.href + document.referrer")
    visited = [entry["url"] for entry in browser.call("Page.getNavigationHistory")["entries"]]
    assert TOKEN not in "".join(visited)
    written = browser.evaluate(
        """fetch('/api/studies/1/note', {
          method: 'PUT',
          headers: {'Content-Type': 'application/json'},
          body: JSON.stringify({version: 1, body: 'Written in the page'}),
        }).then(answer => answer.status)"""
    )
    assert written == 204
    browser.visit(f"{dashboard.address}/dashboard/studies/1/note")
    browser.wait_for(f"{TEXT}?.includes('Written in the page')")

    browser.visit(f"{dashboard.address}/logout")
    browser.wait_for(f"{TEXT}?.includes('Log out?')")
    browser.evaluate("document.querySelector('button').click()")
    browser.wait_for("document.activeElement?.id === 'token'")
    browser.visit(f"{dashboard.address}/dashboard/studies/1")
    browser.wait_for("location.pathname === '/login'")
    assert browser.complaints == []
