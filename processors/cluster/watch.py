"""Reports the nodes of a cluster: `python -m processors.cluster.watch ADDRESS [TOKEN_FILE]` prints a line of
`nodes.Report` every `EVERY_SECONDS`, until its parent ends. If it cannot connect, it prints the reason to stderr and
exits.
"""

import sys
import time

from processors import parent
from processors.cluster import ray_link
from processors.cluster.link import Lost
from processors.cluster.nodes import Report, encode_report, named
from processors.contract import Unavailable

EVERY_SECONDS = 2.0


def main() -> None:
    parent.die_with_parent()
    _, address, token_file = (*sys.argv, "")[:3]
    try:
        ray_link.connect(address, token_file)
        while True:
            print_report()
            time.sleep(EVERY_SECONDS)
    except (Unavailable, Lost) as error:
        sys.exit(str(error))
    except BrokenPipeError:
        return


def print_report() -> None:
    report = Report(nodes=tuple(named(ray_link.living_nodes())))
    sys.stdout.buffer.write(encode_report(report))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
