"""What holds for all tests."""

import signal


def pytest_configure() -> None:
    """Let the processes that tests start heed what ends them.

    One that is started with a signal ignored respects that; so does what `nohup` or a shell's `&`
    started, the tests among them.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            handler = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, handler)
