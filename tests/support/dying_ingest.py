"""`footfall cloud ingest` that SIGKILLs itself between a commit and its acks: `… COMMITS [ingest's own words]`.

The committer is the real one; after its n-th commit that took something in, nothing more happens in this process.
"""

import os
import signal
import sys
from collections.abc import Sequence

import footfall
from cloud.ingest.commit import Acknowledgement, Committer
from cloud.ingest.intake import Delivery

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Run the ingest until it dies."""
    left = int(arguments[0])
    real = Committer.commit

    def commit(self: Committer, deliveries: Sequence[Delivery]) -> tuple[Acknowledgement, ...]:
        nonlocal left
        acknowledgements = real(self, deliveries)
        left -= bool(acknowledgements)
        if not left:
            print("killed between commit and ack", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return acknowledgements

    Committer.commit = commit  # type: ignore[method-assign]
    return footfall.main(["cloud", "ingest", *arguments[1:]])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
