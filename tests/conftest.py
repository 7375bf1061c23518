"""What holds for all tests."""

import signal


def pytest_configure() -> None:
    """Let the processes that tests start heed what ends them, also where the tests do not.

    What `nohup` or a shell's `&` has started ignores a signal, and so does what that starts; a
    handler that does nothing is not passed on.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
