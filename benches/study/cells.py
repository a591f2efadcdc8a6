"""The cells of the study. A cell is a data set, a number of training rows, and the seed that draws them. The files of a
cell are made once."""

import csv
import random
from dataclasses import dataclass, field
from pathlib import Path

csv.field_size_limit(1 << 30)

SIZES = (100, 300, 1000, 4000)
# Seeds by size: small sets are cheap to train on, and their results vary most.
SEEDS = {100: 2, 300: 2, 1000: 1, 4000: 1}
TEST_ROWS = 1000


@dataclass(frozen=True)
class DataSet:
    name: str
    options: tuple = ()
    """Options of `rehead` for this data set."""
    folder: str = ""
    """Where its files are; empty: as it is called."""

    @property
    def source(self):
        return self.folder or self.name


DATA_SETS = (
    DataSet("sst2"),
    DataSet("yelp_sentences"),
    DataSet("trec6"),
    DataSet("banking77"),
    DataSet("sms_spam"),
    DataSet("mrpc", ("--text", "text_a,text_b")),
    DataSet("imdb", ("--max-length", "128")),
    DataSet("nsmc"),
)


@dataclass(frozen=True)
class Cell:
    data: DataSet = field(compare=False)
    size: int
    rows: int
    """Fewer than `size` where the data set has no more."""
    seed: int

    @property
    def key(self):
        return self.data.name, self.size, self.seed


def cells(shared, names=None):
    """All cells, small sizes first. A small data set is used only up to the first size that takes all its rows."""
    found = []
    for seed in range(1, max(SEEDS.values()) + 1):
        for size in SIZES:
            for data in DATA_SETS:
                if seed > SEEDS[size] or (names and data.name not in names):
                    continue
                there = len(read(shared / data.source / "train.csv"))
                smaller = [other for other in SIZES if other < size]
                if not smaller or there > smaller[-1]:
                    found.append(Cell(data, size, min(size, there), seed))
    return found


def files(cell, shared, kept):
    """The files of the cell's training rows and of the data set's test rows. Every class has a training row, unless
    there are more classes than rows."""
    train, test = kept / f"{cell.data.name}-{cell.size}-{cell.seed}.csv", kept / f"{cell.data.name}-test.csv"
    if not train.exists():
        rows = read(shared / cell.data.source / "train.csv")
        random.Random(cell.seed).shuffle(rows)
        seen = set()
        first = [row for row in rows if not (row["label"] in seen or seen.add(row["label"]))]
        rest = [row for row in rows if not any(row is one for one in first)]
        chosen = (first + rest)[: cell.rows]
        random.Random(cell.seed).shuffle(chosen)
        write(train, chosen)
    if not test.exists():
        rows = read(shared / cell.data.source / "test.csv")
        write(test, random.Random(0).sample(rows, min(TEST_ROWS, len(rows))))
    return train, test


def read(file):
    with open(file, encoding="utf-8-sig", newline="") as handle:
        return list(csv.DictReader(handle))


def write(file, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    with open(part, "w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    Path(part).rename(file)
