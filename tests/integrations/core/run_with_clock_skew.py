"""Run a script of Python in this process, with the machine's clock off by so many seconds."""

from __future__ import annotations

import runpy
import sys
import time

import time_machine

seconds, *sys.argv = sys.argv[1:]
with time_machine.travel(time.time() + float(seconds), tick=True):
    runpy.run_path(sys.argv[0], run_name="__main__")
