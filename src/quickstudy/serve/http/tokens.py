"""The token that clients show where the service can be reached from other machines; only its hash is kept."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from pathlib import Path

from starlette.datastructures import Headers

from ...errors import BadFile, UserError

COOKIE = "quickstudy-token"
FORM = re.compile(r"sha256:([0-9a-f]{64})\s*")


def token_hash(token: str) -> str:
    """SHA-256 of a token. One of 256 random bits cannot be guessed from it, however fast hashes are made."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def is_token(shown: str, kept: str) -> bool:
    """Whether a token is the one whose hash is kept, in a time that does not depend on where they differ.

    >>> is_token("a", token_hash("a")), is_token("b", token_hash("a"))
    (True, False)
    """
    return hmac.compare_digest(token_hash(shown), kept)


def shown_token(headers: Headers) -> str:
    """The token of a request: Authorization: Bearer, or the cookie; '' for none."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    cookies = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
    return next((value for name, _, value in cookies if name == COOKIE), "")


def token_of(file: Path) -> tuple[str, str | None]:
    """The hash in a file, and the token itself where it was made just now, because there was no file.

    Raises:
        BadFile: it holds something else.
        UserError: it cannot be read or made.
    """
    try:
        if file.exists():
            found = FORM.fullmatch(file.read_text(encoding="utf-8"))
            if found is None:
                raise BadFile(f"{file} holds no token's hash; give --token-file a new name, and one is made.")
            return found[1], None
        token = secrets.token_urlsafe(32)
        file.touch(mode=0o600, exist_ok=False)
        file.write_text(f"sha256:{token_hash(token)}\n", encoding="utf-8")
        return token_hash(token), token
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The token file {file} cannot be used: {error}.") from error
