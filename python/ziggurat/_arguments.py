"""The parser of the command line: what it does not know it says, with what was perhaps meant."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

from ._terminal import paint, say

__all__ = ["REFUSED", "Parser", "parse"]

USAGE = 2

_TLS = "TLS is not served; put a proxy in front that ends it, as nginx or Caddy, and name it with --forwarded-allow-ips"
REFUSED = {
    "--uds": "Unix sockets are not served; use --host and --port, or hand over a listening TCP socket with --fd",
    **dict.fromkeys(
        (
            "--ssl-keyfile",
            "--ssl-certfile",
            "--ssl-keyfile-password",
            "--ssl-version",
            "--ssl-cert-reqs",
            "--ssl-ca-certs",
            "--ssl-ciphers",
        ),
        _TLS,
    ),
    "--root-path": "paths are served as they come; mount the app where it is to be: outer.mount('/prefix', app)",
    "--proxy-headers": "name the proxies that are believed: --forwarded-allow-ips 10.0.0.0/8",
    "--no-proxy-headers": "nothing that proxies say is believed unless --forwarded-allow-ips names them; leave it out",
    "--header": "headers of every answer are a layer: layers.SecurityHeaders(...), or a middleware",
    "--server-header": "there is no Server header to turn on",
    "--no-server-header": "there is no Server header; leave it out",
    "--date-header": "answers have a Date already; leave it out",
    "--no-date-header": "an answer has to have a Date (RFC 9110, 6.6.1)",
    "--loop": "apps run on PyLoop",
    "--http": "HTTP is served by hyper, versions 1.1 and 2 alike",
    "--ws": "there is one implementation of WebSockets",
    "--interface": "the app is a Ziggurat; ASGI applications are mounted: app.mount('/', application)",
    "--lifespan": "start-up and shutdown hooks always run",
    "--log-config": "call logging.config.dictConfig(...) in the app's module; the log is left as it was set up then",
    "--use-colors": "colours are for terminals; NO_COLOR turns them off",
    "--no-use-colors": "set NO_COLOR=1 in the environment",
    "--limit-max-requests": "workers are not replaced after a number of requests; SIGHUP replaces them one by one",
    "--h11-max-incomplete-event-size": "the head of a request may have max_head_bytes: app.run(max_head_bytes=...)",
    "--reload-delay": "changes are gathered for 20 ms",
}
"""Flags that other servers have, and what is to be done instead."""


class Parser(argparse.ArgumentParser):
    """Ends with two lines instead of the whole usage."""

    def __init__(self, **options: object) -> None:
        options.setdefault("allow_abbrev", False)
        super().__init__(**options)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Says what is wrong, and what was perhaps meant."""
        unknown = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        cure = None
        if unknown:
            choices = [choice.strip("' ") for choice in unknown[2].split(",")]
            message = f"there is no command {unknown[1]!r}" if self._subparsers else message
            cure = nearest(unknown[1], choices)
        self.fail(message, cure or f"see {self.prog} --help")

    def fail(self, what: str, cure: str) -> NoReturn:
        """Ends the program."""
        say(f"{paint('error', 'red', sys.stderr)}: {what}", sys.stderr)
        say(f"{paint('help', 'green', sys.stderr)}: {cure}", sys.stderr)
        sys.exit(USAGE)


def parse(parser: Parser, argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments; one that does not exist ends the program."""
    options, unknown = parser.parse_known_args(argv)
    if not unknown:
        return options
    used: Parser = getattr(options, "parser", parser)
    name = next((part for part in unknown if part.startswith("-")), unknown[0]).partition("=")[0]
    if not name.startswith("-"):
        used.fail(f"{name!r} is one argument too many", f"see {used.prog} --help")
    if name in REFUSED:
        used.fail(f"{name} is not taken: {REFUSED[name]}", f"see {used.prog} --help")
    flags = [flag for action in used._actions for flag in action.option_strings]
    used.fail(f"there is no option {name}", nearest(name, flags) or f"see {used.prog} --help")


def nearest(name: str, known: Sequence[str]) -> str | None:
    """What was perhaps meant."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else None
