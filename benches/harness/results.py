"""Collects the repeats of each contender, and computes and prints medians and ratios."""

import statistics
import sys
from dataclasses import dataclass, field

from .processes import Unavailable


@dataclass
class Series:
    """The measurements of one contender, one sample per repeat: `seconds` and whatever else was measured."""

    name: str
    samples: list = field(default_factory=list)

    def median(self, key):
        values = [sample[key] for sample in self.samples if key in sample]
        return statistics.median(values) if values else None


@dataclass
class Goal:
    """A measured value and its goal: at least `goal`, or at most with `most`. Without a goal it is only printed."""

    title: str
    value: float
    unit: str = "times"
    goal: float | None = None
    most: bool = False

    @property
    def met(self):
        if self.goal is None:
            return None
        return self.value <= self.goal if self.most else self.value >= self.goal

    def line(self):
        text = f"{self.title:<62} {self.value:8.2f} {self.unit:<6}"
        if self.goal is None:
            return text.rstrip()
        return f"{text} goal {'at most' if self.most else 'at least'} {self.goal:g}, {'met' if self.met else 'not met'}"


class Measurement:
    """One measurement: the series of its contenders, and the values that are compared with goals."""

    def __init__(self, name, title):
        self.name, self.title = name, title
        self.series, self.goals, self.absent = {}, [], {}
        print(f"\n{name}: {title}", flush=True)

    def interleave(self, contenders, repeats):
        """Runs every contender once, then all again, so that whatever slows the machine down affects all of them."""
        self.take_turns([contenders] * repeats)

    def take_turns(self, rounds):
        """Runs the contenders of each round, each time in a rotated order. All rounds have the same names."""
        for number, contenders in enumerate(rounds):
            names = [name for name in contenders if name not in self.absent]
            turn = number % max(1, len(names))
            for name in names[turn:] + names[:turn]:
                try:
                    sample = contenders[name]()
                except Unavailable as reason:
                    self.absent[name] = str(reason)
                    print(f"  {name}: left out: {reason}", flush=True)
                    continue
                self.series.setdefault(name, Series(name)).samples.append(sample)
                tell(f"  repeat {number + 1} of {len(rounds)}: {name}: {sample['seconds']:.2f} s")
        self.series = {name: self.series[name] for name in rounds[0] if name in self.series}

    def compare(self, title, ours, peer, goal=None, key="seconds"):
        """Adds the ratio of the peer's median to ours."""
        if ours in self.series and peer in self.series:
            ratio = self.series[peer].median(key) / self.series[ours].median(key)
            self.goals.append(Goal(title, ratio, goal=goal))

    def show(self, *extras):
        """Prints the medians and goals. Each extra column is (key, heading, format)."""
        width = max(map(len, self.series), default=0)
        print(f"  {'':<{width}} {'seconds':>9} {'(of all repeats)':>19}", *(f"{name:>12}" for _, name, _ in extras))
        for name, series in self.series.items():
            seconds = [sample["seconds"] for sample in series.samples]
            places = 2 if min(seconds) >= 0.1 else 4
            spread = f"{min(seconds):.{places}f} to {max(seconds):.{places}f}"
            cells = [series.median(key) for key, _, _ in extras]
            shown = (f"{'' if cell is None else format(cell, form):>12}" for cell, (_, _, form) in zip(cells, extras))
            print(f"  {name:<{width}} {statistics.median(seconds):9.{places}f} {spread:>19}", *shown)
        for goal in self.goals:
            print(f"  {goal.line()}", flush=True)

    def raw(self):
        return {
            "measure": self.name,
            "title": self.title,
            "series": {name: series.samples for name, series in self.series.items()},
            "left_out": self.absent,
            "compared": [vars(goal) | {"met": goal.met} for goal in self.goals],
        }


def tell(line):
    """Prints progress to standard error, apart from the results."""
    print(line, file=sys.stderr, flush=True)
