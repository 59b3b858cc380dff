"""The table `[[hooks]]` of config.toml."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from daemon.config.table import Table
from daemon.config.values import Argument, Line, check_line
from processors.quantities import Seconds


class Hook(Table):
    """`[[hooks]]`: a notification when a job ends. Exactly one of `command`, `webhook` and `desktop`."""

    on: tuple[Literal["done", "review", "failed", "digest"], ...] = ("review", "failed", "digest")
    command: tuple[Argument, ...] = ()  # a program and its arguments; reads the job as JSON on stdin
    webhook: Line = ""  # http(s)://…: the address to post the same JSON to
    desktop: bool = False  # a desktop notification (notify-send), for a per-user service
    timeout: Seconds = Field(default=30.0, gt=0)
    attempts: int = Field(default=5, ge=1)

    @field_validator("command")
    @classmethod
    def _check_program(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        for program in command[:1]:
            check_line(program)
        return command

    @model_validator(mode="after")
    def _check(self) -> "Hook":
        if sum(map(bool, (self.command, self.webhook, self.desktop))) != 1:
            raise ValueError(
                'set exactly one of command = ["program", "argument"], webhook = "https://…", desktop = true'
            )
        if self.webhook and not self.webhook.startswith(("http://", "https://")):
            raise ValueError("webhook must begin with http:// or https://")
        return self

    @property
    def method(self) -> Literal["command", "webhook", "desktop"]:
        return "command" if self.command else "webhook" if self.webhook else "desktop"

    @property
    def name(self) -> str:
        """For the log; a webhook's without the part of its address that may be secret."""
        return (
            self.command[0]
            if self.command
            else f"{'/'.join(self.webhook.split('/')[:3])}/…"
            if self.webhook
            else "desktop"
        )
