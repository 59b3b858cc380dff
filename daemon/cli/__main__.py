"""`python -m daemon.cli`: the `inboxd` command with this interpreter."""

from daemon.cli.main import main

if __name__ == "__main__":
    main()
