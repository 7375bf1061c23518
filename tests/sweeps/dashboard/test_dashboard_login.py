"""Who is let in by the dashboard, and for how long."""

import http.client
import re
import time
from urllib.parse import quote, urlsplit

import optuna
import pytest

from storage import open_storage
from sweeps.dashboard.attempts import FREE_ATTEMPTS, LONGEST_WAIT_SECONDS, REMEMBERED, Attempts
from sweeps.dashboard.sessions import LIFETIME_SECONDS, Sessions
from tests.sweeps.conftest import Place
from tests.sweeps.dashboards import Dashboard

TOKEN = "ein-Schlüssel-ohne-Sinn-ключ"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a study in its storage."""
    folder = tmp_path_factory.mktemp("dashboard")
    storage = open_storage(str(folder / "sweeps.db"), create=True)
    optuna.create_study(storage=storage, study_name="shown")
    (folder / "token").write_text(f"{TOKEN}\n")
    return Place(folder, folder)


@pytest.fixture(scope="module")
def dashboard(place):
    with Dashboard(place, "--writable", "--token-file", "token") as dashboard:
        yield dashboard


@pytest.fixture(scope="module")
def session(dashboard):
    """The cookie of one who has logged in."""
    return dashboard.log_in(TOKEN).cookie


@pytest.fixture(scope="module")
def behind_proxy(place):
    """A dashboard behind a TLS proxy, with a token that it has made up."""
    with Dashboard(place, "--behind-tls", "--allowed-host", "Sweeps.Example") as dashboard:
        yield dashboard


@pytest.mark.parametrize(
    ("path", "method"),
    [("/api/studies", "GET"), ("/api/studies", "HEAD"), ("/api/studies/1", "DELETE")],
)
def test_without_the_token_a_program_is_told_so(dashboard, path, method):
    answer = dashboard.ask(path, method)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    if method != "HEAD":
        assert "Authorization: Bearer" in answer.json["reason"]


@pytest.mark.parametrize("path", ["/static/bundle.js", "/api/none", "/api"])
def test_without_the_token_nothing_is_given_out(dashboard, path):
    assert dashboard.ask(path).status == 401


@pytest.mark.parametrize(
    "path", ["/", "/dashboard/studies/1?tab=2&x=é", "/csv/1", "/artifacts/1/2"]
)
def test_without_the_token_a_person_comes_to_the_login_page(dashboard, path):
    answer = dashboard.ask(quote(path, safe="/?&="))
    assert answer.status == 303
    where = answer.headers["Location"]
    assert where.startswith("/login?next=%2F")
    page = dashboard.ask(where)
    assert page.status == 200
    assert '<input id="token"' in page.text
    assert page.headers["Cache-Control"] == "no-store"
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    # Where the form leads: to the page that was asked for.
    wanted = re.search(r'name="next" value="([^"]*)"', page.text)[1].replace("&amp;", "&")
    expected = "/dashboard" if path == "/" else quote(path, safe="/?&=")
    assert dashboard.log_in(TOKEN, wanted).headers["Location"] == expected


def test_the_login_page_shows_no_markup_of_others(dashboard):
    page = dashboard.ask("/login?next=" + quote('/x"><script>alert(1)</script>'))
    assert "<script>alert" not in page.text


@pytest.mark.parametrize("kind", ["Bearer", "bearer"])
def test_the_token_in_a_header_lets_in(dashboard, kind):
    answer = dashboard.ask("/api/studies", Authorization=f"{kind} {TOKEN}")
    assert (answer.status, len(answer.json["study_summaries"])) == (200, 1)


@pytest.mark.parametrize("given", ["", "wrong", TOKEN[:-1], TOKEN + "x", "ключ" * 9, "\xff\xfe"])
def test_a_wrong_token_does_not(dashboard, given):
    source = f"127.0.1.{len(given) + 1}"
    header = f"Bearer {given}"
    assert dashboard.ask("/api/studies", source=source, Authorization=header).status == 401
    assert dashboard.ask("/dashboard", source=source, Authorization=header).status == 401
    answer = dashboard.log_in(given, source=source)
    assert (answer.status, answer.headers["Set-Cookie"]) == (401, None)
    assert "This is not the token." in answer.text


def test_a_wrong_header_is_not_made_up_for_by_a_session(dashboard, session):
    answer = dashboard.ask(
        "/api/studies", source="127.0.1.99", Authorization="Bearer wrong", Cookie=session
    )
    assert answer.status == 401


def test_other_credentials_do_not_count(dashboard, session):
    """A proxy may ask for a password of its own."""
    assert dashboard.ask("/api/studies", Authorization="Basic eDp5").status == 401
    assert dashboard.ask("/api/studies", Authorization="Basic eDp5", Cookie=session).status == 200


def test_the_session_lets_in_and_holds_no_token(dashboard):
    answer = dashboard.log_in(TOKEN)
    assert (answer.status, answer.headers["Location"]) == (303, "/dashboard")
    value, *flags = answer.headers["Set-Cookie"].split("; ")
    assert set(flags) == {f"Max-Age={LIFETIME_SECONDS}", "HttpOnly", "SameSite=Strict", "Path=/"}
    assert TOKEN not in value
    beside = f'odd="a;b; {value}; other=1'
    assert dashboard.ask("/api/studies", Cookie=beside).status == 200
    # Who is logged in needs no login page.
    assert dashboard.ask("/login?next=%2Fdashboard", Cookie=value).status == 303


def test_a_session_that_was_changed_does_not(dashboard, session, behind_proxy):
    name, _, value = session.partition("=")
    ends_at, key, signature = value.split(".")
    changed = [
        "",
        ".",
        "..",
        "é.ü.ö",
        f"{int(ends_at) + 1}.{key}.{signature}",
        f"{ends_at}.{key}x.{signature}",
        f"{ends_at}.{key}.{signature[:-1]}",
        f"{ends_at}.{key}.{'0' * 64}",
        f"{ends_at}.{key}",
        TOKEN,
    ]
    for other in changed:
        assert dashboard.ask("/api/studies", Cookie=f"{name}={other}").status == 401, other
    # Another server signs with another secret, and looks for another cookie.
    foreign = name.rpartition("_")[0] + f"_{urlsplit(behind_proxy.address).port}={value}"
    assert behind_proxy.ask("/api/studies", Cookie=foreign).status == 401


def test_logging_out_ends_the_session_for_good(dashboard):
    cookie = dashboard.log_in(TOKEN).cookie
    assert "Log out?" in dashboard.ask("/logout", Cookie=cookie).text
    assert dashboard.ask("/api/studies", Cookie=cookie).status == 200
    refused = dashboard.ask("/logout", "POST", Cookie=cookie, Origin="http://evil.example")
    assert refused.status == 403
    assert dashboard.ask("/api/studies", Cookie=cookie).status == 200
    answer = dashboard.ask("/logout", "POST", Cookie=cookie, Origin=dashboard.address)
    assert (answer.status, answer.headers["Location"]) == (303, "/login")
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    assert dashboard.ask("/api/studies", Cookie=cookie).status == 401
    assert dashboard.ask("/logout").headers["Location"] == "/login"


def test_a_change_from_another_site_is_refused_though_the_cookie_comes_with_it(dashboard, session):
    path = "/api/studies/77/preference/1"
    foreign = (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Origin": dashboard.address},
        {},
    )
    for headers in foreign:
        answer = dashboard.ask(path, "DELETE", Cookie=session, **headers)
        assert answer.status == 403, headers
    own = {"Origin": dashboard.address, "Sec_Fetch_Site": "same-origin"}
    note = '{"version": 1, "body": "a note"}'
    written = dashboard.ask(
        "/api/studies/1/note", "PUT", note, Content_Type="application/json", Cookie=session, **own
    )
    assert written.status == 204
    assert dashboard.ask("/api/studies/1", Cookie=session).json["note"]["body"] == "a note"


def test_a_program_with_the_token_need_not_name_its_origin(dashboard):
    note = '{"version": 0, "body": ""}'
    answer = dashboard.ask(
        "/api/studies/1/note",
        "PUT",
        note,
        Content_Type="application/json",
        Authorization=f"Bearer {TOKEN}",
    )
    # It is let through: what it asks for is refused by the dashboard itself.
    assert answer.status == 409


def test_another_site_cannot_log_a_person_in(dashboard):
    assert dashboard.log_in(TOKEN, Origin="http://evil.example").status == 403


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example/",
        "https:evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/\t/evil.example",
        "\t//evil.example",
        " //evil.example",
        "/x\r\nSet-Cookie: a=b",
        "/x\\..\\..",
        "/login",
        "/logout",
        "/é",
        "",
    ],
)
def test_the_login_page_leads_nowhere_else(dashboard, session, wanted):
    answer = dashboard.log_in(TOKEN, wanted)
    assert (answer.status, answer.headers["Location"]) == (303, "/dashboard")
    answer = dashboard.ask(f"/login?next={quote(wanted, safe='')}", Cookie=session)
    assert (answer.status, answer.headers["Location"]) == (303, "/dashboard")


def test_a_path_like_another_hosts_address_does_not_lead_there(dashboard):
    page = dashboard.ask(dashboard.ask("//evil.example/x").headers["Location"])
    wanted = re.search(r'name="next" value="([^"]*)"', page.text)[1]
    assert not wanted.startswith("//")
    assert not dashboard.log_in(TOKEN, wanted).headers["Location"].startswith("//")


@pytest.mark.parametrize(
    "form", ["", "token", "token=" + "x" * 10_000, "&" * 100, "a=1&" * 50, "%ff=%fe&token=%ff"]
)
def test_odd_forms_are_wrong_tokens(dashboard, form):
    source = f"127.0.2.{len(form) % 250 + 1}"
    answer = dashboard.ask("/login", "POST", form, source, Origin=dashboard.address)
    assert answer.status == 401


def test_who_guesses_has_to_wait(dashboard, session):
    source, right = "127.0.3.1", f"Bearer {TOKEN}"
    for _ in range(FREE_ATTEMPTS - 1):
        assert dashboard.log_in("wrong", source=source).status == 401
    locked = dashboard.log_in("wrong", source=source)
    assert locked.status == 429
    assert 1 <= int(locked.headers["Retry-After"]) <= 10
    assert "Too many wrong tokens" in locked.text
    # Not even the right one is looked at.
    assert dashboard.log_in(TOKEN, source=source).status == 429
    answer = dashboard.ask("/api/studies", source=source, Authorization=right)
    assert (answer.status, "wait" in answer.json["reason"]) == (429, True)
    # Sessions go on, and others are not kept waiting.
    assert dashboard.ask("/api/studies", source=source, Cookie=session).status == 200
    assert dashboard.ask("/api/studies", source="127.0.3.2", Authorization=right).status == 200


def test_a_large_body_is_refused_before_anybody_is_asked(behind_proxy):
    parts = urlsplit(behind_proxy.address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    connection.putrequest("POST", "/login")
    connection.putheader("Content-Length", str(1 << 30))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_behind_a_proxy_the_cookie_is_for_tls_alone(behind_proxy):
    [line] = [line for line in behind_proxy.lines if "#token=" in line]
    found = re.search(r"https://(\S+)/login#token=(\S+)", line)
    assert found[1] == "Sweeps.Example"
    token, seen = found[2], {"Host": "sweeps.example", "X_Forwarded_Proto": "https"}
    assert len(token) >= 32
    assert behind_proxy.log_in(token, Origin="http://sweeps.example", **seen).status == 403
    answer = behind_proxy.log_in(token, Origin="https://sweeps.example", **seen)
    assert answer.status == 303
    assert "; Secure" in answer.headers["Set-Cookie"]
    root = behind_proxy.ask("/", Cookie=answer.cookie, **seen)
    assert root.headers["Location"] == "https://sweeps.example/dashboard"


def test_behind_a_proxy_its_clients_are_told_apart(behind_proxy):
    seen = {"Host": "sweeps.example", "Origin": "https://sweeps.example"}
    for _ in range(FREE_ATTEMPTS):
        answer = behind_proxy.log_in("wrong", X_Forwarded_For="192.0.2.1", **seen)
    assert answer.status == 429
    # What a client says of itself comes before what the proxy adds.
    forged = "192.0.2.9, 192.0.2.1"
    assert behind_proxy.log_in("wrong", X_Forwarded_For=forged, **seen).status == 429
    assert behind_proxy.log_in("wrong", X_Forwarded_For="192.0.2.2", **seen).status == 401


def test_a_session_runs_out():
    now = [time.time()]
    sessions = Sessions(clock=lambda: now[0])
    value = sessions.begin()
    now[0] += LIFETIME_SECONDS - 1
    assert sessions.is_valid(value)
    now[0] += 1
    assert not sessions.is_valid(value)
    assert not Sessions().is_valid(sessions.begin())


def test_waits_grow_and_are_forgotten():
    now = [0.0]
    attempts = Attempts(clock=lambda: now[0])
    waits = []
    for _ in range(FREE_ATTEMPTS + 9):
        attempts.failed("192.0.2.1")
        waits.append(attempts.wait("192.0.2.1"))
    assert waits[: FREE_ATTEMPTS + 2] == [0] * (FREE_ATTEMPTS - 1) + [10, 20, 40]
    assert waits[-1] == LONGEST_WAIT_SECONDS
    now[0] += LONGEST_WAIT_SECONDS
    assert attempts.wait("192.0.2.1") == 0
    now[0] += LONGEST_WAIT_SECONDS
    attempts.failed("192.0.2.1")
    assert attempts.wait("192.0.2.1") == 0


def test_a_network_of_ipv6_is_one_visitor_and_few_are_remembered():
    attempts = Attempts()
    for number in range(FREE_ATTEMPTS):
        attempts.failed(f"2001:db8::{number:x}")
        attempts.failed(f"::ffff:192.0.2.{number}")
    assert attempts.wait("2001:db8::ffff") > 0
    assert attempts.wait("2001:db8:0:1::1") == 0
    assert attempts.wait("::ffff:192.0.2.1") == 0
    for number in range(2 * REMEMBERED):
        attempts.failed(f"10.1.{number // 250}.{number % 250}")
    assert len(attempts) == REMEMBERED
