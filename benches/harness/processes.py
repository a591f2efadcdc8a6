"""Runs one process at a time, and measures its time and its peak memory."""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from .settings import ROOT

PEERS = ROOT / "benches/peers"
PACKAGES = [ROOT / ".bench/python", ROOT / ".python"]


class Unavailable(Exception):
    """A contender cannot run on this machine or with this version; the message says why."""


@dataclass
class Finished:
    command: str
    output: str
    seconds: float
    peak_bytes: int

    def json(self):
        """The JSON object on standard output."""
        return json.loads(self.output[self.output.index("{") :])


class Processes:
    """Starts every contender with the same number of threads and the same environment variables."""

    def __init__(self, args):
        self.args = args
        threads = str(args.threads)
        self.surroundings = {
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "RAYON_NUM_THREADS": threads,
            "TOKENIZERS_PARALLELISM": "true",
            "HF_HUB_OFFLINE": "1",
        }

    def rehead(self, *arguments, may_refuse=False):
        options = ["--threads", self.args.threads, "--device", self.args.device, "--quiet"]
        return self.run([self.args.rehead, *arguments, *options], may_refuse)

    def peer(self, name, *arguments, **surroundings):
        return self.run([sys.executable, PEERS / f"{name}.py", *arguments], **surroundings)

    def run(self, command, may_refuse=False, **surroundings):
        """Runs a command. With `may_refuse`, exit status 2 means that this version or machine does not support it."""
        command = [shown(part) for part in command]
        ours = self.surroundings | surroundings
        packages = os.pathsep.join([*map(str, PACKAGES), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
        with tempfile.TemporaryFile() as errors:
            began = time.perf_counter()
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, cwd=ROOT,
                env=os.environ | ours | {"PYTHONPATH": packages},
            )  # fmt: skip
            output = process.stdout.read().decode()
            # Unlike process.wait(), wait4 also reports the peak memory of this process alone.
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            process.stdout.close()
            errors.seek(0)
            told = errors.read().decode(errors="replace")[-4000:]
        line = " ".join([*(f"{name}={value}" for name, value in ours.items()), *command])
        line = line.replace(sys.executable, "python3", 1)
        if process.returncode == 2 and may_refuse:
            raise Unavailable(next(iter(told.strip().splitlines()), "refused"))
        if process.returncode != 0:
            sys.exit(f"{line}\nended with status {process.returncode}:\n{told}")
        return Finished(line, output, seconds, usage.ru_maxrss * 1024)


def shown(part):
    """A part of a command as text. Paths are relative to the project's folder: commands run there and are published."""
    text = str(part)
    if isinstance(part, Path) and part.is_absolute() and ROOT.parent in part.parents:
        text = os.path.relpath(part, ROOT)
        return text if "/" in text else f"./{text}"
    return text
