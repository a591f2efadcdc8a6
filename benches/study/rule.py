"""The rule of src/advice/recommend.rs, its two fitted numbers, and what it would have advised of data sets it has not seen."""

import math
from dataclasses import dataclass

# Half a point: errors of nothing at all would have no logarithm.
LEAST = 0.005


@dataclass
class Case:
    """What is known of a cell: before training, and after."""

    key: tuple
    rows_per_class: float
    frozen: float
    """Accuracy of a head on the stage with the best probe; a fraction, as all here."""
    full: float

    @property
    def ratio(self):
        return math.log((1 - self.full + LEAST) / (1 - self.frozen + LEAST))

    @property
    def size(self):
        return math.log2(max(1, self.rows_per_class) / 100)


@dataclass
class Line:
    at_100: float
    per_doubling: float
    scatter: float

    def advise(self, case):
        return "full" if self.at_100 + self.per_doubling * case.size < 0 else "head"


def fit(cases):
    """Least squares."""
    n = len(cases)
    x, y = [case.size for case in cases], [case.ratio for case in cases]
    middle_x, middle_y = sum(x) / n, sum(y) / n
    spread = sum((value - middle_x) ** 2 for value in x)
    slope = sum((a - middle_x) * (b - middle_y) for a, b in zip(x, y)) / spread if spread else 0.0
    start = middle_y - slope * middle_x
    rest = sum((b - start - slope * a) ** 2 for a, b in zip(x, y))
    return Line(start, slope, math.sqrt(rest / max(1, n - 2)))


def without(cases, name):
    """The line fitted on all data sets but one."""
    return fit([case for case in cases if case.key[0] != name])


def best_stage(measurements):
    """The index of the stage with the best probe, of equals the last."""
    share = lambda stage: stage["probe"]["correct"] / stage["probe"]["rows"]
    stages = measurements["stages"]
    return max(range(len(stages)), key=lambda index: (share(stages[index]), index))
