"""The options and the client of processors that can use a model server.

The daemon imports the options; a worker imports `client` (httpx2) when it loads.
"""

from typing import Annotated, Self

from pydantic import Field, model_validator

from processors.contract import Options
from processors.quantities import Seconds

_Address = Annotated[str, Field(pattern=r"^https?://[^\s@]+$")]


class ServerOptions(Options):
    """Options of a processor whose `engine` may be "openai", a server."""

    engine: str
    base_url: _Address | Annotated[tuple[_Address, ...], Field(min_length=1)] | None = Field(
        default=None,  # of the server, or of several with the same model
        description='an address that begins with http:// or https://, such as "http://localhost:8000/v1", without '
        "spaces or a user name, or a list of such addresses",
    )
    api_key_env: str | None = Field(default=None, min_length=1)  # environment variable that holds the API key
    api_key_file: str | None = Field(default=None, min_length=1)  # or the file that does; None: the server needs no key
    request_timeout: Seconds = Field(default=300.0, gt=0)  # for one page, or for ten minutes of sound

    @property
    def base_urls(self) -> tuple[str, ...]:
        """The addresses of all servers."""
        return (self.base_url,) if isinstance(self.base_url, str) else self.base_url or ()

    @model_validator(mode="after")
    def _names_its_server(self) -> Self:
        if self.engine == "openai" and self.base_url is None:
            raise ValueError('engine = "openai" needs `base_url`, such as "http://localhost:8000/v1"')
        if self.engine != "openai" and (self.base_url or self.api_key_env or self.api_key_file):
            raise ValueError('`base_url` and `api_key_…` need engine = "openai": set that, or leave them out')
        if self.api_key_env and self.api_key_file:
            raise ValueError("`api_key_env` and `api_key_file` are both given: leave one out")
        if len(set(self.base_urls)) < len(self.base_urls):
            raise ValueError("`base_url` names a server twice: leave one out")
        return self
