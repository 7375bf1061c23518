"""The token that a visitor has to know."""

import hmac
import secrets
from pathlib import Path

from sweeps.errors import SweepsError

#: A shorter one could be guessed.
SHORTEST = 16


def make_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(32)


def checked_token(text: str, source: str) -> str:
    """A token that a person chose.

    Args:
        text: the token.
        source: the option or file that it comes from, for the message.

    Raises:
        SweepsError: it is too short, or holds what cannot be typed or sent.
    """
    if len(text) < SHORTEST:
        raise SweepsError(
            f"{source}: a token of {len(text)} characters is too short; take {SHORTEST} or more "
            "(openssl rand -hex 16 makes one)"
        )
    if not text.isprintable() or text != text.strip():
        raise SweepsError(
            f"{source}: a token is one line, without control characters or spaces around it"
        )
    return text


def read_token(path: Path) -> str:
    """The token in a file; white space around it is not part of it.

    Raises:
        SweepsError: the file cannot be read, or holds no usable token.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SweepsError(f"--token-file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SweepsError(f"--token-file {path}: not UTF-8 text") from None
    return checked_token(text.strip(), f"--token-file {path}")


def same(left: bytes, right: bytes) -> bool:
    """Whether two secrets are equal, in a time that does not tell how much of them is."""
    return hmac.compare_digest(left, right)
