"""`inboxd web`: the console and the HTTP API, in the foreground."""

import sys

from daemon.cli import logs
from daemon.cli.context import load_settings
from daemon.cli.options import ConfigOption


def web(config_file: ConfigOption = None) -> None:
    """Serve the console and the HTTP API, beside the running daemon.

    [web] in config.toml sets the address. The first start creates the access token, state/web-token."""
    from daemon.web import auth, server

    settings = load_settings(config_file)
    logs.set_up(verbose=False)

    def show(address: str) -> None:
        if sys.stderr.isatty() and not address.startswith("/"):
            token = f"login#{auth.load_token(settings.web_token)}" if settings.web.token else ""
            print(f"Open {address}{token}", file=sys.stderr)

    server.serve(settings, on_bound=show)
