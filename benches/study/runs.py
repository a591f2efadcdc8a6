"""Trains each strategy on each cell and runs `rehead advise`. A result is a line of JSON; finished ones are skipped."""

import fcntl
import json
import math
import shutil
import subprocess
import time
from contextlib import contextmanager

from .cells import files

STRATEGIES = {
    "full": ("--strategy", "full", "--head-init", "random"),
    "frozen": ("--strategy", "frozen"),
    "full, probe": ("--strategy", "full", "--head-init", "probe"),
    "last:2": ("--strategy", "last:2", "--head-init", "random"),
}
# All strategies but `frozen` train on batches of 16 texts, for as many epochs as make 200 steps, within 3 to 20.
BATCH, STEPS, LEAST_EPOCHS, MOST_EPOCHS = 16, 200, 3, 20
VALID_FRACTION = 0.1


def epochs(rows):
    steps = math.ceil(rows * (1 - VALID_FRACTION) / BATCH)
    return min(MOST_EPOCHS, max(LEAST_EPOCHS, math.ceil(STEPS / steps)))


class Lines:
    """A file of JSON lines, to which lines are appended."""

    def __init__(self, file):
        self.file = file
        self.all = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def add(self, line):
        self.all.append(line)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with open(self.file, "a", encoding="utf-8") as handle:
            handle.write(json.dumps(line) + "\n")

    def keys(self, *names):
        return {tuple(line[name] for name in names) for line in self.all}


class Turn:
    """Shares a machine with other programs: works only while it holds a file's lock, and releases it now and then."""

    def __init__(self, file, seconds):
        self.handle = open(file) if file else None
        self.seconds = seconds
        self.since = None

    @contextmanager
    def work(self):
        if self.handle and self.since is None:
            fcntl.flock(self.handle, fcntl.LOCK_EX)
            self.since = time.monotonic()
        yield
        if self.handle and time.monotonic() - self.since > self.seconds:
            self.end()

    def end(self):
        if self.handle and self.since is not None:
            fcntl.flock(self.handle, fcntl.LOCK_UN)
            self.since = None
            time.sleep(2)  # lets a waiting program take the lock


def train(args, cells, turn):
    lines = Lines(args.runs)
    done = lines.keys("data", "size", "seed", "strategy")
    todo = [(cell, strategy) for cell in cells for strategy in STRATEGIES if (*cell.key, strategy) not in done]
    todo.sort(key=lambda each: (each[0].seed, list(STRATEGIES).index(each[1])))  # the most important results first
    for number, (cell, strategy) in enumerate(todo):
        options = [] if strategy == "frozen" else ["--epochs", epochs(cell.rows), "--batch-size", BATCH]
        with turn.work():
            line = one(args, cell, strategy, [*STRATEGIES[strategy], *options])
        lines.add(line)
        print(f"{number + 1} of {len(todo)}: {cell.key} {strategy} {line['accuracy']:.3f}", flush=True)
    turn.end()


def one(args, cell, name, options):
    """Trains on a cell and returns the line of its results."""
    train_file, test_file = files(cell, args.shared, args.kept / "data")
    out = args.kept / "run"
    shutil.rmtree(out, ignore_errors=True)
    command = [
        args.rehead, "train", "--train", train_file, "--valid-fraction", VALID_FRACTION, "--test", test_file,
        "--model", args.model, "--seed", cell.seed, "--out", out, "--threads", args.threads,
        "--json", "--quiet", *cell.data.options, *options,
    ]  # fmt: skip
    metrics = answer(command, args.root)
    shutil.rmtree(out, ignore_errors=True)
    return {
        "data": cell.data.name, "size": cell.size, "rows": cell.rows, "seed": cell.seed, "strategy": name,
        "epochs": metrics["epochs"],
        "accuracy": metrics["test"]["accuracy"], "macro_f1": metrics["test"]["macro_f1"],
        "test_rows": metrics["test"]["rows"], "valid_accuracy": metrics["valid"]["accuracy"],
        "seconds": metrics["train_seconds"], "tokens_per_second": metrics["tokens_per_second"],
    }  # fmt: skip


def heads(args, cells, turn):
    """Trains a head on every stage but the last; `frozen` is a head on the last stage."""
    lines = Lines(args.runs)
    done = lines.keys("data", "size", "seed", "strategy")
    given = {(line["data"], line["size"], line["seed"]): line["measurements"] for line in Lines(args.advice).all}
    for cell in cells:
        for stages in range(1, len(given.get(cell.key, {"stages": []})["stages"])):
            if (*cell.key, f"stages {stages}") not in done:
                with turn.work():
                    lines.add(one(args, cell, f"stages {stages}", ["--strategy", "frozen", "--stages", stages]))
    turn.end()


def answer(command, folder):
    """Runs a command and returns the JSON object that it prints."""
    ran = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=folder)
    if ran.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\nended with status {ran.returncode}:\n{ran.stderr[-2000:]}")
    return json.loads(ran.stdout)


def advise(args, cells, turn):
    """Runs `rehead advise` on the training rows of each cell."""
    lines = Lines(args.advice)
    done = lines.keys("data", "size", "seed")
    for cell in cells:
        if cell.key in done:
            continue
        train_file, _ = files(cell, args.shared, args.kept / "data")
        command = [
            args.rehead, "advise", "--train", train_file, "--model", args.model, "--seed", cell.seed,
            "--threads", args.threads, "--json", "--quiet", *cell.data.options,
        ]  # fmt: skip
        with turn.work():
            given = answer(command, args.root)
        kept = {name: given[name] for name in ("measurements", "measured_rows", "seconds")}
        lines.add({"data": cell.data.name, "size": cell.size, "rows": cell.rows, "seed": cell.seed} | kept)
    turn.end()
