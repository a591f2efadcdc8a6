"""The data and models of the benchmarks, made once and kept in .bench."""

import csv
import hashlib
import random
import shutil
from pathlib import Path

from .settings import ROOT

BENCH = ROOT / ".bench"
# Validation and test rows of a subset: few, so that evaluating them costs next to nothing.
VALID_ROWS, TEST_ROWS = 64, 400


class Inputs:
    def __init__(self, args, processes):
        self.args = args
        self.processes = processes
        self.scratch = BENCH / "scratch"
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        self.runs = 0

    def new_run(self):
        """The path of a run directory that does not exist yet."""
        self.runs += 1
        return self.scratch / f"run-{self.runs}"

    def whole(self):
        """The training, validation and test file with all their rows. Without dev.csv the test file validates, too."""
        data = self.args.data
        dev = data / "dev.csv"
        return data / "train.csv", dev if dev.exists() else data / "test.csv", data / "test.csv"

    def subset(self):
        """A random sample of each of the three files; the same seed gives the same rows."""
        sizes = (self.args.train_rows, VALID_ROWS, TEST_ROWS)
        names = ("train", "valid", "test")
        return tuple(self.sample(file, name, rows) for file, name, rows in zip(self.whole(), names, sizes))

    def sample(self, file, name, rows):
        kept = self.place("data", f"{name}-{rows}.csv", file, self.args.seeds[0])
        if not kept.exists():
            read = read_csv(file)
            write_csv(kept, random.Random(self.args.seeds[0]).sample(read, min(rows, len(read))))
        return kept

    def texts(self):
        """A file of --label-rows distinct texts with their labels, those of the test file first, and how many of them
        are from the test file."""
        kept = self.place("data", f"texts-{self.args.label_rows}.csv", self.args.data / "train.csv", 0)
        distinct = {}
        for name in ("test", "train", "dev"):
            file = self.args.data / f"{name}.csv"
            for row in read_csv(file) if file.exists() else []:
                distinct.setdefault(row["text"], row)
            if name == "test":
                tested = min(len(distinct), self.args.label_rows)
        if not kept.exists():
            write_csv(kept, list(distinct.values())[: self.args.label_rows])
        return kept, tested

    def model(self):
        """The directory of the pretrained model."""
        if self.args.model != "random-base":
            return Path(self.args.model).resolve()
        return self.made("base")

    def made(self, kind):
        """A model with random weights; see peers/make_model.py."""
        kept = BENCH / "models" / f"random-{kind}"
        tokenizer = ROOT / ".models/all-MiniLM-L6-v2"
        make = lambda part: self.processes.peer("make_model", "--kind", kind, "--tokenizer", tokenizer, "--out", part)
        return once(kept, make)

    def classifier(self):
        """The classifier that labels: --classifier, or one trained here for an epoch (with --quick on a subset)."""
        if self.args.classifier:
            return self.args.classifier.resolve()
        train, valid, _ = self.subset() if self.args.quick else self.whole()
        kept = self.place("runs", train.stem, train, self.model())
        make = lambda part: self.processes.rehead(
            "train", "--train", train, "--valid", valid, "--model", self.model(), "--strategy", "full", "--epochs", 1,
            "--max-length", self.args.max_length, "--out", part,
        )  # fmt: skip
        return once(kept, make)

    def onnx(self, classifier):
        """The folder that holds a classifier as fp32.onnx and int8.onnx."""
        make = lambda part: self.processes.peer("onnx_export", "--model", classifier, "--out", part)
        return once(self.place("onnx", classifier.name, classifier), make)

    def lines(self, rows):
        """A file of `rows` short texts, nearly all of them distinct."""
        file = self.scratch / f"lines-{rows}.txt"
        chance = random.Random(rows)
        words = "good bad dull bright slow quick plain clever funny sad warm cold long short new old".split()
        with open(file, "w", encoding="utf-8") as out:
            for row in range(rows):
                out.write(f"row {row} is {' and '.join(chance.choices(words, k=chance.randint(1, 4)))}\n")
        return file

    @staticmethod
    def place(kind, name, *of):
        """Where something made from `of` is kept."""
        mark = hashlib.sha256(" ".join(map(str, of)).encode()).hexdigest()[:8]
        folder = BENCH / kind
        folder.mkdir(parents=True, exist_ok=True)
        stem, dot, extension = name.partition(".")
        return folder / f"{stem}-{mark}{dot}{extension}"


def once(kept, make):
    """The folder `kept`. If it does not exist, it is made under another name first, so that it is never incomplete."""
    if not kept.exists():
        part = kept.with_name(f"{kept.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.parent.mkdir(parents=True, exist_ok=True)
        make(part)
        part.rename(kept)
    return kept


def read_csv(file):
    with open(file, encoding="utf-8-sig", newline="") as handle:
        return [{"text": row["text"], "label": row["label"]} for row in csv.DictReader(handle)]


def write_csv(file, rows):
    with open(file, "w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, ["text", "label"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
