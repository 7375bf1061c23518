"""Who is let in by the dashboard, and for how long."""

import http.client
import re
import time
from urllib.parse import quote, urlsplit

import optuna
import pytest
from bottle import HTTPResponse, Request

from storage import open_storage
from sweeps.dashboard.login import LIFETIME_SECONDS, Login
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
    assert policy.startswith("default-src 'none'; style-src 'nonce-")
    assert "unsafe" not in policy
    # Where the form leads: to the page that was asked for.
    wanted = re.search(r'name="next" value="([^"]*)"', page.text)[1].replace("&amp;", "&")
    expected = quote(path, safe="/?&=")
    assert dashboard.log_in(TOKEN, wanted).headers["Location"] == expected


def test_the_login_page_shows_no_markup_of_others(dashboard):
    page = dashboard.ask("/login?next=" + quote('/x"><script>alert(1)</script>'))
    assert "<script>alert" not in page.text


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/?token={}", "/"),
        ("/dashboard/studies/1?tab=2&token={}&x=%C3%A9", "/dashboard/studies/1?tab=2&x=%C3%A9"),
        ("/dashboard?%74oken={}&token={}", "/dashboard"),
        ("/login?token={}", "/login"),
        ("//evil.example/x?token={}", "/evil.example/x"),
    ],
)
def test_the_link_lets_in_and_leads_to_the_address_without_the_token(dashboard, path, expected):
    answer = dashboard.ask(path.replace("{}", quote(TOKEN)))
    assert (answer.status, answer.headers["Location"]) == (303, expected)
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert dashboard.ask("/api/studies", Cookie=answer.cookie).status == 200


def test_a_link_with_another_token_leads_to_the_login_page(dashboard, session):
    answer = dashboard.ask("/dashboard?tab=2&token=wrong")
    assert (answer.status, answer.headers["Set-Cookie"]) == (303, None)
    where = answer.headers["Location"]
    assert "token" not in where
    page = dashboard.ask(where).text
    assert "This is not the token." in page
    assert 'name="next" value="/dashboard?tab=2"' in page
    # Who has a session needs no token, as with an old link.
    answer = dashboard.ask("/dashboard?tab=2&token=wrong", Cookie=session)
    assert answer.headers["Location"] == "/dashboard?tab=2"


def test_the_link_is_for_pages_alone(dashboard):
    assert dashboard.ask(f"/api/studies?token={quote(TOKEN)}").status == 401


@pytest.mark.parametrize("kind", ["Bearer", "bearer"])
def test_the_token_in_a_header_lets_in(dashboard, kind):
    answer = dashboard.ask("/api/studies", Authorization=f"{kind} {TOKEN}")
    assert (answer.status, len(answer.json["study_summaries"])) == (200, 1)


@pytest.mark.parametrize("given", ["", "wrong", TOKEN[:-1], TOKEN + "x", "ключ" * 9, "\xff\xfe"])
def test_a_wrong_token_does_not(dashboard, given):
    header = f"Bearer {given}"
    assert dashboard.ask("/api/studies", Authorization=header).status == 401
    assert dashboard.ask("/dashboard", Authorization=header).status == 401
    answer = dashboard.log_in(given)
    assert (answer.status, answer.headers["Set-Cookie"]) == (401, None)
    assert "This is not the token." in answer.text


def test_a_wrong_header_is_not_made_up_for_by_a_session(dashboard, session):
    answer = dashboard.ask("/api/studies", Authorization="Bearer wrong", Cookie=session)
    assert answer.status == 401


def test_other_credentials_do_not_count(dashboard, session):
    """A proxy may ask for a password of its own."""
    assert dashboard.ask("/api/studies", Authorization="Basic eDp5").status == 401
    assert dashboard.ask("/api/studies", Authorization="Basic eDp5", Cookie=session).status == 200


def test_the_session_lets_in_and_holds_no_token(dashboard):
    answer = dashboard.log_in(TOKEN)
    assert (answer.status, answer.headers["Location"]) == (303, "/dashboard")
    value, *flags = answer.headers["Set-Cookie"].split("; ")
    assert set(flags) == {f"Max-Age={LIFETIME_SECONDS}", "HttpOnly", "SameSite=lax", "Path=/"}
    assert TOKEN not in value
    beside = f'odd="a;b; {value}; other=1'
    assert dashboard.ask("/api/studies", Cookie=beside).status == 200
    # Who is logged in needs no login page.
    assert dashboard.ask("/login?next=%2Fdashboard", Cookie=value).status == 303


def test_a_session_that_was_changed_does_not(dashboard, session, behind_proxy):
    name, _, value = session.partition("=")
    key, time_given, signature = value.split(".")
    changed = [
        "",
        ".",
        "..",
        "é.ü.ö",
        f"{key}x.{time_given}.{signature}",
        f"{key}.{time_given}x.{signature}",
        f"{key}.{time_given}.{signature[:-1]}",
        f"{key}.{time_given}.{'0' * len(signature)}",
        f"{key}.{time_given}",
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
    assert "Max-Age=-1" in answer.headers["Set-Cookie"]
    assert dashboard.ask("/api/studies", Cookie=cookie).status == 401
    assert dashboard.ask("/logout").headers["Location"] == "/login"


def test_a_change_from_another_site_is_refused_though_the_cookie_comes_with_it(dashboard, session):
    path = "/api/studies/77/preference/1"
    for headers in ({"Origin": "http://evil.example"}, {"Sec_Fetch_Site": "cross-site"}, {}):
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
        "/é",
        "",
    ],
)
def test_the_login_page_leads_nowhere_else(dashboard, session, wanted):
    for answer in (
        dashboard.log_in(TOKEN, wanted),
        dashboard.ask(f"/login?next={quote(wanted, safe='')}", Cookie=session),
    ):
        assert answer.status == 303
        assert re.fullmatch(r"/(?!/)[!-\[\]-~]*", answer.headers["Location"])


@pytest.mark.parametrize(
    "form", ["", "token", "token=" + "x" * 10_000, "&" * 100, "a=1&" * 50, "%ff=%fe&token=%ff"]
)
def test_odd_forms_are_wrong_tokens(dashboard, form):
    answer = dashboard.ask("/login", "POST", form, Origin=dashboard.address)
    assert answer.status == 401


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=x"])
def test_a_form_of_another_kind_is_refused(dashboard, kind):
    form = f"token={quote(TOKEN)}"
    answer = dashboard.ask("/login", "POST", form, Origin=dashboard.address, Content_Type=kind)
    assert (answer.status, answer.headers["Set-Cookie"]) == (400, None)


def test_a_large_body_is_refused_before_anybody_is_asked(behind_proxy):
    parts = urlsplit(behind_proxy.address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    connection.putrequest("POST", "/login")
    connection.putheader("Content-Length", str(1 << 30))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_behind_a_proxy_the_cookie_is_for_tls_alone(behind_proxy):
    [line] = [line for line in behind_proxy.lines if "?token=" in line]
    found = re.search(r"https://(\S+)/\?token=(\S+)", line)
    assert found[1] == "Sweeps.Example"
    token, seen = found[2], {"Host": "sweeps.example", "X_Forwarded_Proto": "https"}
    assert len(token) >= 32
    assert behind_proxy.log_in(token, Origin="http://sweeps.example", **seen).status == 403
    answer = behind_proxy.log_in(token, Origin="https://sweeps.example", **seen)
    assert answer.status == 303
    assert "; Secure" in answer.headers["Set-Cookie"]
    root = behind_proxy.ask("/", Cookie=answer.cookie, **seen)
    assert root.headers["Location"] == "https://sweeps.example/dashboard"


def test_a_session_runs_out(monkeypatch):
    login = Login(TOKEN, cookie="session", secure=False)
    form = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "QUERY_STRING": f"token={quote(TOKEN)}"}
    with pytest.raises(HTTPResponse) as caught:
        login.check(Request(form))
    headers = dict(caught.value.headerlist)
    cookie = headers["Set-Cookie"].partition(";")[0]
    later = {"REQUEST_METHOD": "GET", "PATH_INFO": "/api/studies", "HTTP_COOKIE": cookie}
    began = time.time()
    monkeypatch.setattr(time, "time", lambda: began + LIFETIME_SECONDS - 5)
    assert login.check(Request(dict(later)))
    monkeypatch.setattr(time, "time", lambda: began + LIFETIME_SECONDS + 5)
    with pytest.raises(HTTPResponse) as caught:
        login.check(Request(dict(later)))
    assert caught.value.status_code == 401
