"""The rule of src/advice/recommend.rs, its fitted numbers, and what it would have advised of data sets it has not seen."""

import math
import statistics
from dataclasses import dataclass

# Half a point: errors of nothing at all would have no logarithm.
LEAST = 0.005
# Rows a class from which there may be many.
THRESHOLDS = (5, 10, 20, 30, 60, 100, 200, 500)


@dataclass
class Case:
    """What is known of a cell: before training, and after."""

    key: tuple
    rows_per_class: float
    head: float
    """Accuracy of a head on the stage with the best probe; a fraction, as all here."""
    full: float

    @property
    def ratio(self):
        return math.log((1 - self.full + LEAST) / (1 - self.head + LEAST))


@dataclass
class Rule:
    many: float
    """Rows a class from which everything is trained."""
    ratios: dict
    """ln(error of full / error of a head) where there are few and many rows a class: mean, deviation."""

    def advise(self, case):
        return "full" if case.rows_per_class >= self.many else "head"


def fit(cases):
    """The threshold with the least regret, the middle one of equals."""
    regrets = {}
    for many in THRESHOLDS:
        chosen = [case.full if case.rows_per_class >= many else case.head for case in cases]
        regrets[many] = sum(max(case.head, case.full) - got for case, got in zip(cases, chosen))
    equals = [many for many, regret in regrets.items() if regret < min(regrets.values()) + 1e-9]
    many = equals[len(equals) // 2]
    sides = {
        "few": [case.ratio for case in cases if case.rows_per_class < many],
        "many": [case.ratio for case in cases if case.rows_per_class >= many],
    }
    return Rule(many, {side: (statistics.mean(got), statistics.stdev(got)) for side, got in sides.items() if len(got) > 1})


def without(cases, name):
    """The rule fitted on all data sets but one."""
    return fit([case for case in cases if case.key[0] != name])


def best_stage(measurements):
    """The index of the stage with the best probe, of equals the last."""
    share = lambda stage: stage["probe"]["correct"] / stage["probe"]["rows"]
    stages = measurements["stages"]
    return max(range(len(stages)), key=lambda index: (share(stages[index]), index))
