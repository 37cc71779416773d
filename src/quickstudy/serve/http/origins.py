"""Who calls: by which name the service was called, and which page sent the request."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers


def is_known_host(host: str, names: Iterable[str]) -> bool:
    """Whether a Host header names this service: an address, localhost, this machine or one of `names`.

    A page that has its own name point here (DNS rebinding) shows that name; it cannot show an address.

    >>> [is_known_host(host, ["study.org"]) for host in ("[::1]:80", "localhost", "evil.org", "study.org:8000")]
    [True, True, False, True]
    """
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    if name in ("localhost", socket.gethostname().lower(), *(n.lower() for n in names)) and name:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_same_origin(headers: Headers) -> bool:
    """Whether a request that changes something comes from a page of ours, or from no page at all."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc.lower() == headers.get("host", "").lower()
