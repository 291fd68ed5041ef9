"""A task beside the main one, on a thread of its own."""

import threading
from collections.abc import Callable

__all__ = ["Side"]


class Side:
    """A task beside the main one; when it ends, well or not, it sets `stop`, and `finish` says why it failed."""

    def __init__(self, task: Callable[[], object], stop: threading.Event) -> None:
        self._task = task
        self._stop = stop
        self._defect: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="side", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self) -> None:
        """Wait for its end; raises what it failed of."""
        self._thread.join()
        if self._defect is not None:
            raise self._defect

    def _run(self) -> None:
        try:
            self._task()
        except BaseException as defect:  # noqa: BLE001  raised again by finish, on the main thread
            self._defect = defect
        finally:
            self._stop.set()
