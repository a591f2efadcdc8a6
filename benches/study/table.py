"""Prints the advised and the best strategy of each cell, and each rule's regret: the points of accuracy it loses."""

from collections import defaultdict
from itertools import product

from . import rule
from .runs import Lines

# `head` is a head on the stage with the best probe. `full` starts its head as `--head-init auto` does.
CHOICES = ("frozen", "head", "last:2", "full")
MANY_CLASSES = 20


def show(args):
    cells, rows = outcomes(Lines(args.runs).all)
    given = {(line["data"], line["size"], line["seed"]): line["measurements"] for line in Lines(args.advice).all}
    cases, heads = [], {}
    for key, by_seed in cells.items():
        for seed, found in by_seed.items():
            if (*key, seed) in given:
                classes = sum(count > 0 for count in given[*key, seed]["class_rows"])
                probe = found.pop("full, probe", None)
                if classes >= MANY_CLASSES:
                    found["full"] = probe
                heads[*key, seed] = by_stage(found)
                found["head"] = heads[*key, seed][rule.best_stage(given[*key, seed])]
                error = rule.expected_error(given[*key, seed], rows[key])
                cases.append(rule.Case((*key, seed), rows[key] / classes, found["head"], found["full"], error))
    whole = rule.fit(cases)
    rules = {name: rule.without(cases, name) for name in {case.key[0] for case in cases}}
    advice = {case.key: rules[case.key[0]].advise(case) for case in cases}
    found = {case.key: cells[case.key[:2]][case.key[2]] for case in cases}

    print("| data set | rows | rows per class | frozen | head on the best stage | last:2 | full | advised | regret |")
    print("|---|---|---|---|---|---|---|---|---|")
    for case in sorted(cases, key=lambda case: case.key):
        here = found[case.key]
        shown = {name: f"{100 * here[name]:.1f}" if name in here else "" for name in CHOICES}
        best = max(here, key=here.get)
        shown[best] = f"**{shown[best]}**"
        name, size, seed = case.key
        accuracies = " | ".join(shown[name] for name in CHOICES)
        print(
            f"| {name}, seed {seed} | {rows[name, size]:,} | {case.rows_per_class:.0f} | {accuracies} "
            f"| {advice[case.key]} | {regret(here, advice[case.key]):.1f} |"
        )
    (few, many, least), hindsight = best_by_size(found)
    size_rule = f"{many} from {least} rows on, else {few}" if few != many else f"always {few}"
    print("\n| rule | mean regret in points | worst |\n|---|---|---|")
    for title, choose in [
        ("advice, fitted on the other data sets", advice.get),
        ("advice, fitted on all", {case.key: whole.advise(case) for case in cases}.get),
        ("always frozen", lambda key: "frozen"),
        ("always a head on the best stage", lambda key: "head"),
        ("always full", lambda key: "full"),
        (f"by size alone, the best in hindsight ({size_rule})", hindsight),
        ("by size alone, the best on the other data sets", by_size_elsewhere(found)),
    ]:
        costs = [regret(here, choose(key)) for key, here in found.items()]
        print(f"| {title} | {sum(costs) / len(costs):.2f} | {max(costs):.1f} |")
    print(f"\n{len(cases)} cells; many rows per class: from {whole.many}; ln(error of full / of a head): " + ", ".join(
        f"{side} {mean:.3f} ± {deviation:.3f}" for side, (mean, deviation) in whole.ratios.items()
    ))
    seconds = lambda lines: {(line["data"], line["size"], line["seed"]): line["seconds"] for line in lines}
    took = seconds(Lines(args.advice).all)
    full = seconds(line for line in Lines(args.runs).all if line["strategy"] == "full")
    shares = sorted((took[key] / full[key], key) for key in took if key in full)
    stages_table(heads, given)
    median, (most, where) = shares[len(shares) // 2][0], shares[-1]
    print(f"\ntime of advice / time of full training: median {median:.2f}, most {most:.2f} ({where})")


def outcomes(lines):
    """Accuracies by (data, size), seed and strategy, of the cells that are trained far enough to compare, and the
    rows by (data, size)."""
    cells, rows = defaultdict(lambda: defaultdict(dict)), {}
    for line in lines:
        cells[line["data"], line["size"]][line["seed"]][line["strategy"]] = line["accuracy"]
        rows[line["data"], line["size"]] = line["rows"]
    needed = {"frozen", "full", "stages 1"}
    complete = {
        key: {seed: got for seed, got in seeds.items() if needed <= set(got)} for key, seeds in cells.items()
    }
    return complete, rows


def by_stage(found):
    """Accuracies of a head on each stage, where the last is `frozen`; removes the other stages from `found`."""
    earlier = sorted((name for name in found if name.startswith("stages ")), key=lambda name: int(name.split()[1]))
    return [found.pop(name) for name in earlier] + [found["frozen"]]


def stages_table(heads, given):
    """Prints how each way of choosing a stage compares with the last stage, in points, by data set."""
    measured = lambda key: given[key]["stages"]
    best = lambda values: max(range(len(values)), key=lambda index: (values[index], index))
    stages = len(next(iter(heads.values())))
    fixed = best([sum(head[index] for head in heads.values()) for index in range(stages)])
    ways = {
        "always the last": lambda key: stages - 1,
        f"always stage {fixed + 1} of {stages} (the best fixed one, in hindsight)": lambda key: fixed,
        "the one with the best probe": lambda key: rule.best_stage(given[key]),
        "… LogME": lambda key: best([stage["logme"] for stage in measured(key)]),
        "… nearest neighbours": lambda key: best([stage["neighbours"]["accuracy"] for stage in measured(key)]),
        "… H-score": lambda key: best([stage["hscore"] for stage in measured(key)]),
        "the best on the test rows (what can be reached)": lambda key: best(heads[key]),
    }
    names = sorted({key[0] for key in heads})
    mean = lambda values: 100 * sum(values) / len(values)
    print(f"\n| the stage is | mean | {' | '.join(names)} |\n|---|---|{'---|' * len(names)}")
    for way, choose in ways.items():
        gains = [
            mean([heads[key][choose(key)] - heads[key][-1] for key in heads if key[0] == name]) for name in names
        ]
        shown = " | ".join("" if way == "always the last" else f"{gain:+.1f}" for gain in gains)
        print(f"| {way} | {mean([heads[key][choose(key)] for key in heads]):.1f} | {shown} |")


def regret(found, choice):
    return 100 * (max(found.values()) - found[choice])


def mean_regret(cells, choose):
    return sum(regret(found, choose(key)) for key, found in cells.items()) / len(cells)


def rules_by_size(sizes):
    """All rules that take one strategy below a number of rows and another from that number on."""
    simple = ("frozen", "full")
    for few, many, least in product(simple, simple, [*sizes, float("inf")]):
        yield (few, many, least), lambda key, few=few, many=many, least=least: many if key[1] >= least else few


def best_by_size(cells):
    return min(rules_by_size(sorted({key[1] for key in cells})), key=lambda tried: mean_regret(cells, tried[1]))


def by_size_elsewhere(cells):
    """For each data set the rule by size that is best on all other data sets."""
    names = {key[0] for key in cells}
    rules = {name: best_by_size({key: found for key, found in cells.items() if key[0] != name})[1] for name in names}
    return lambda key: rules[key[0]](key)
