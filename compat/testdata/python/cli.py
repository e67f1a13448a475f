"""Runs one AWS CLI command per line of standard input, in one process.

In:  {"arguments": ["cloudfront", "list-functions", ...], "environment": {"AWS_ACCESS_KEY_ID": "..."}}
Out: {"status": 0, "stdout": "...", "stderr": "..."}

The CLI's own entry point runs every command; only the second it takes to start
a Python is saved.
"""

import contextlib
import io
import json
import os
import sys

from awscli.clidriver import create_clidriver


class Captured(io.TextIOWrapper):
    """Text with the bytes stream underneath that the CLI writes some answers to."""

    def __init__(self):
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    def text(self):
        return self.buffer.getvalue().decode()


answers = sys.stdout
environment = dict(os.environ)
for line in sys.stdin:
    command = json.loads(line)
    os.environ.clear()
    os.environ.update(environment)
    os.environ.update(command["environment"])
    out, err = Captured(), Captured()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = create_clidriver().main(command["arguments"])
        except SystemExit as e:  # it does not like its arguments
            status = e.code
    print(json.dumps({"status": status, "stdout": out.text(), "stderr": err.text()}), file=answers, flush=True)
