"""Runs a command as a shell with job control does, in a group of its own: `python tests/support/job.py COMMAND…`."""

from __future__ import annotations

import os
import signal
import sys

if (job := os.fork()) == 0:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execvp(sys.argv[1], sys.argv[1:])
sys.exit(os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]))
