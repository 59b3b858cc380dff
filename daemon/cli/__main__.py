"""`python -m daemon.cli`: the `inboxd` command of this interpreter."""

from daemon.cli.main import main

if __name__ == "__main__":
    main()
