"""Accuracy on long texts: truncated, head and tail, and windows, at 128 and 256 tokens.

Usage: python measure.py --rehead target/release/rehead --data IMDB_FOLDER --model MODEL --out RESULTS.jsonl
       [--rows 2000] [--test-rows 1000] [--threads 1] [--strategies frozen full] [--lengths 128 256]

IMDB_FOLDER has train.csv and test.csv (columns text, label). The first rows of each are taken; a tenth of the training
rows is held out. A line of RESULTS.jsonl is one run: what was asked for, test accuracy with its interval, seconds.
"""

import argparse
import csv
import json
import subprocess
import tempfile
import time
from pathlib import Path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rehead", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--test-rows", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--strategies", nargs="+", default=["frozen", "full"])
    parser.add_argument("--lengths", nargs="+", type=int, default=[128, 256])
    parser.add_argument("--ways", nargs="+", default=["truncate", "head-tail", "windows"])
    parser.add_argument("flags", nargs="*", help="more flags for `rehead train`, after --")
    arguments = parser.parse_args()
    arguments.rehead = arguments.rehead.resolve()
    csv.field_size_limit(2**31 - 1)

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name, rows in [("train", arguments.rows), ("test", arguments.test_rows)]:
            first_rows(arguments.data / f"{name}.csv", folder / f"{name}.csv", rows)
        for strategy in arguments.strategies:
            for length in arguments.lengths:
                for way in arguments.ways:
                    line = measure(arguments, folder, strategy, length, way)
                    print(line, flush=True)
                    with open(arguments.out, "a", encoding="utf-8") as file:
                        file.write(json.dumps(line) + "\n")


def first_rows(source, target, rows):
    with open(source, encoding="utf-8", newline="") as file, open(target, "w", encoding="utf-8", newline="") as into:
        reader, writer = csv.reader(file), csv.writer(into)
        writer.writerow(next(reader))
        for _, row in zip(range(rows), reader):
            writer.writerow(row)


def measure(arguments, folder, strategy, length, way):
    run = folder / f"{strategy}-{length}-{way}"
    began = time.time()
    command = [arguments.rehead, "train", "--train", folder / "train.csv", "--test", folder / "test.csv"]
    command += ["--model", arguments.model, "--strategy", strategy, "--max-length", length, "--long-text", way]
    command += ["--threads", arguments.threads, "--explain-mistakes", 0, "--out", run, "--quiet", *arguments.flags]
    subprocess.run([str(part) for part in command], check=True)
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    test = metrics["test"]
    return {
        "strategy": strategy,
        "max_length": length,
        "long_text": way,
        "rows": arguments.rows,
        "test_rows": arguments.test_rows,
        "flags": arguments.flags,
        "accuracy": test["accuracy"],
        "interval": test.get("accuracy_interval"),
        "macro_f1": test.get("macro_f1"),
        "train_seconds": metrics["train_seconds"],
        "seconds": time.time() - began,
        "version": metrics["rehead_version"],
    }


if __name__ == "__main__":
    main()
