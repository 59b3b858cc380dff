"""What all processors do alike that may leave their work to a server: the options that name it, and its client.

The options are imported by the daemon; `client` (httpx2) is imported once a worker loads.
"""

from typing import Self

from pydantic import Field, model_validator

from processors.contract import Options
from processors.units import Seconds


class ServerOptions(Options):
    """Options of a processor whose `engine` may be "openai", a server."""

    engine: str
    base_url: str | None = Field(  # of a server
        default=None,
        pattern=r"^https?://[^\s@]+$",
        description='an address that begins with http:// or https://, such as "http://localhost:8000/v1", without '
        "spaces or a user name",
    )
    api_key_env: str | None = Field(default=None, min_length=1)  # the environment variable that holds its key
    api_key_file: str | None = Field(default=None, min_length=1)  # or the file; None: it needs no key
    request_timeout: Seconds = Field(default=300.0, gt=0)  # how long it may take for a page, or ten minutes of sound

    @model_validator(mode="after")
    def _names_its_server(self) -> Self:
        if self.engine == "openai" and self.base_url is None:
            raise ValueError('engine = "openai" needs `base_url`, such as "http://localhost:8000/v1"')
        if self.engine != "openai" and (self.base_url or self.api_key_env or self.api_key_file):
            raise ValueError('`base_url` and `api_key_…` are of engine = "openai": set that, or leave them out')
        if self.api_key_env and self.api_key_file:
            raise ValueError("`api_key_env` and `api_key_file` are both given: leave one out")
        return self
