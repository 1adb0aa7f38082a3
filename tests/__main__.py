"""`python -m tests`: the tests of `make test` in several runs side by side, since many of them wait for something."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from typing import IO

from tests.databases import ROOT, folder_for_databases

# pytest-django holds one settings module a process, so each project's tests are a run of their own.
RUNS = {
    "loop": "tests/loop/test_loop.py tests/loop/test_scopes.py tests/loop/test_seams.py"
    " -p no:django -p no:randomly -n 3 --dist loadfile",  # the tests of a module are one walk, in their order
    "server": "tests/flowdock_server --ds=tests.flowdock_server.settings -n auto --dist loadgroup",
    "bridge": "tests/integrations tests/polls --ds=tests.integrations.settings -n auto --dist loadgroup",
    "hosting": "tests/hosting -p no:django -n 3",
}


class Run:
    def __init__(self, name: str, arguments: str) -> None:
        self.name, self.begun = name, time.monotonic()
        self.output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with its Run
        # They start some hundred processes. None should compile our modules again, whatever the shell says of bytecode.
        env = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}
        command = [sys.executable, "-m", "pytest", *arguments.split()]
        self.process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=self.output, stderr=subprocess.STDOUT)

    def report(self) -> None:
        print(f"\n== {self.name}: {time.monotonic() - self.begun:.0f} s", flush=True)
        self.output.seek(0)
        sys.stdout.buffer.write(self.output.read())
        sys.stdout.flush()


def main() -> int:
    """0 where all tests have passed."""
    with folder_for_databases():
        runs = [Run(name, arguments) for name, arguments in RUNS.items()]
        print(f"Running the tests of {', '.join(RUNS)}; what each says follows when it has ended.", flush=True)
        waiting = list(runs)
        try:
            while waiting:
                time.sleep(0.2)
                for run in [run for run in waiting if run.process.poll() is not None]:
                    waiting.remove(run)
                    run.report()
        finally:
            for run in waiting:  # interrupted
                run.process.terminate()
                run.process.wait()
    failed = [run.name for run in runs if run.process.returncode]
    print(f"\nFailed: {', '.join(failed)}" if failed else "\nAll tests have passed.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
