"""The rule of src/advice/recommend.rs: fits its numbers, and advises on data sets that it was not fitted on."""

import math
import statistics
from dataclasses import dataclass

# Half a point of accuracy, added to each error rate: an error rate of 0 has no logarithm.
LEAST = 0.005
# Candidates for the number of rows per class from which all weights are trained.
THRESHOLDS = (5, 10, 20, 30, 60, 100, 200, 500)
# Expected points from which training everything is worth its time; it is stated, not fitted.
WORTH = 1.0
# The share of the rows that `train` trains on.
TRAINED = 0.9


@dataclass
class Case:
    """What is known of a cell before and after training."""

    key: tuple
    rows_per_class: float
    head: float
    """Accuracy, as a fraction, of a head on the stage with the best probe."""
    full: float
    error: float
    """The error to expect of that head, from its probe and the learning curve."""

    @property
    def ratio(self):
        return math.log((1 - self.full + LEAST) / (1 - self.head + LEAST))


@dataclass
class Rule:
    many: float
    """Rows per class from which all weights are trained."""
    ratios: dict
    """ln(error of full / error of a head) for few and for many rows per class: mean, standard deviation."""

    def advise(self, case):
        mean, _ = self.ratios["many"]
        gain = 100 * case.error * (1 - math.exp(mean))
        return "full" if case.rows_per_class >= self.many and gain >= WORTH else "head"


def fit(cases):
    """Chooses the threshold with the least total regret; of several equal ones the middle one."""
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
    ratios = {side: (statistics.mean(got), statistics.stdev(got)) for side, got in sides.items() if len(got) > 1}
    return Rule(many, ratios)


def without(cases, name):
    """The rule fitted on all data sets except `name`."""
    return fit([case for case in cases if case.key[0] != name])


def expected_error(measurements, rows):
    """The error of a head on the best stage, trained with all rows: its probe's, less what the learning curve
    promises for the rows that the probe did not have."""
    probe = measurements["stages"][best_stage(measurements)]["probe"]
    points = [(score["train_rows"] ** -0.5, 1 - score["correct"] / score["rows"]) for score in measurements["curve"]]
    x, y = (statistics.mean(values) for values in zip(*points))
    slope = max(0, sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points))
    floor = y - slope * x
    if floor < 0:
        floor, slope = 0, sum(a * b for a, b in points) / sum(a * a for a, _ in points)
    accuracy = lambda rows: min(1, max(0, 1 - floor - slope * rows**-0.5))
    more = accuracy(TRAINED * rows) - accuracy(probe["train_rows"])
    return max(1 - probe["correct"] / probe["rows"] - max(0, more), 0.002)


def best_stage(measurements):
    """The index of the stage with the best probe; of several equal ones the last."""
    share = lambda stage: stage["probe"]["correct"] / stage["probe"]["rows"]
    stages = measurements["stages"]
    return max(range(len(stages)), key=lambda index: (share(stages[index]), index))
