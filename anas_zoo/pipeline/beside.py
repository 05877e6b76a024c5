"""Fixed networks of a run that are trained in processes of their own, on the cores that are free."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from anas_zoo.core.errors import TrainingError
from anas_zoo.core.progress import Bar
from anas_zoo.pipeline.run import Run
from anas_zoo.training import Processes

LOOK_SECONDS = 0.5  # between looks at the processes that train


class Beside:
    """Processes that train, by the name of their network; they end when this one does, however that ends."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._said: dict[str, IO[bytes]] = {}  # on stderr; a pipe that nobody empties would stop them

    def __len__(self) -> int:
        return len(self._running)

    def start(self, name: str, threads: int, what: str, which: str) -> None:
        """Start one; ``what`` and ``which`` are what :mod:`anas_zoo.pipeline.side_process` takes."""
        command = [sys.executable, "-m", "anas_zoo.pipeline.side_process", str(self._run.folder)]
        # It finds this package as this process did; and Ctrl-C is for the process that reports.
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        environment["OMP_NUM_THREADS"] = str(threads)
        self._said[name] = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the process has ended
        self._running[name] = subprocess.Popen(
            [*command, str(threads), what, which],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._said[name],
            env=environment,
            start_new_session=True,
        )

    def look(self) -> None:
        """Forget those that have ended. Raises :class:`TrainingError` for one that failed."""
        for name in [name for name, process in self._running.items() if process.poll() is not None]:
            self._end(name)

    def wait(self) -> None:
        """Until all have ended. Raises as :meth:`look` does."""
        if not self._running:
            return
        with Bar(f"wait for {' and '.join(self._running)}, seconds") as bar:
            while self._running:
                time.sleep(LOOK_SECONDS)
                self.look()
                bar.advance(LOOK_SECONDS)

    def _end(self, name: str) -> None:
        self._running[name].wait()
        with self._running.pop(name) as process, self._said.pop(name) as said:
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines()
        if process.returncode:
            status = f"it ended with status {process.returncode}"
            raise TrainingError(f"training {name} failed: {lines[-1] if lines else status}")

    def stop(self) -> None:
        """End what is running."""
        for process in self._running.values():
            process.kill()
        for name in list(self._running):
            with self._running.pop(name), self._said.pop(name):
                pass


@contextmanager
def beside(run: Run) -> Iterator[Beside]:
    """Processes beside the block, which end with it."""
    processes = Beside(run)
    try:
        yield processes
    finally:
        processes.stop()


def free_cores(processes: Processes) -> int:
    """How many networks can be trained at a time, one on each core; 1 where one takes all there is."""
    return 1 if processes.device.type != "cpu" or processes.count > 1 else len(os.sched_getaffinity(0))
