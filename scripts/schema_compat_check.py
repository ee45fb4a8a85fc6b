#!/usr/bin/env python3
"""Fail-closed schema compatibility check (rules: schemas/registry, in Go).

Runs `mbp schema compat` with the arguments given here and exits with its
status. Uses bin/mbp if it was built, else `go run ./cmd/mbp`. Whatever keeps
the check from running is a failure: exit 2. Relative paths are read from the
repository root.
"""
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def command() -> list[str]:
    binary = ROOT / "bin" / "mbp"
    if os.access(binary, os.X_OK):
        return [str(binary)]
    if shutil.which("go"):
        return ["go", "run", "./cmd/mbp"]
    raise OSError("neither bin/mbp nor go is there")


if __name__ == "__main__":
    try:
        done = subprocess.run([*command(), "schema", "compat", *sys.argv[1:]], cwd=ROOT, check=False)
    except OSError as err:
        print(f"schema_compat_check: {err}: not checked, failing", file=sys.stderr)
        sys.exit(2)
    sys.exit(done.returncode if 0 <= done.returncode <= 125 else 2)
