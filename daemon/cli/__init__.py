"""The `inboxd` command and its output in a terminal."""

from daemon.cli.package_conflict import refuse_foreign_package

refuse_foreign_package()
