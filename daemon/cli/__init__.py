"""The `inboxd` command and its output in a terminal."""

from daemon.cli.foreign import refuse_foreign_package

refuse_foreign_package()
