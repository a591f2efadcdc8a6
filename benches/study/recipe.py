"""The runs behind the defaults of training: a grid of learning rates and epochs, the defaults beside it, the Trainer's
defaults, and many small runs, of which none may fail. A result is a line of JSON; finished ones are skipped."""

import json
import random
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from statistics import mean

from .cells import Cell, DataSet, files, read, write
from .runs import Lines, answer

# Half of the data sets, on which the defaults were fitted, and the other half.
FITTED = ("trec6", "sst2", "yelp_sentences")
DATA_SETS = (
    DataSet("trec6"),
    DataSet("sst2"),
    DataSet("yelp_sentences"),
    DataSet("banking77"),
    DataSet("sms_spam"),
    DataSet("mrpc", ("--text", "text_a,text_b", "--max-length", "96")),
    DataSet("imdb", ("--max-length", "64")),
)
# Looked at beside these: reviews as long as the default takes them, and texts of a language that the network has hardly
# seen.
BESIDE = (DataSet("imdb_whole", folder="imdb"), DataSet("nsmc"))
TEST_ROWS = 500
HELD_OUT = 0.1
# Pairs of learning rate and epochs by number of rows.
GRID = {
    100: ((2e-4, 6), (1e-4, 8), (3e-4, 8), (5e-5, 20), (1e-4, 20)),
    300: ((2e-4, 6), (5e-5, 8), (1e-4, 8), (3e-4, 8), (1e-4, 20)),
    1000: ((1e-4, 3), (5e-5, 6), (1e-4, 6), (2e-4, 6), (1e-4, 12)),
    3000: ((2e-4, 4), (1e-4, 6), (2e-4, 6)),
}
# Learning rate and epochs of the Trainer when it is told nothing, and those among which its best is looked for.
TRAINER = (5e-5, 3)
TRAINER_GRID = ((1e-4, 6), (2e-4, 6), (1e-4, 12), (2e-4, 12))


def cells(args):
    named = [data for data in BESIDE if args.only and data.name in args.only]
    for seed in args.seeds:
        for size in args.sizes:
            for data in (*DATA_SETS, *named):
                there = len(read(args.shared / data.source / "train.csv"))
                smallest = 300 if data.name == "banking77" else 100
                if smallest <= size <= there and (not args.only or data.name in args.only):
                    yield Cell(data, size, size, seed)


def split(cell, args):
    """Files of training, validation and test rows. Every label of the validation rows has a training row."""
    kept = args.kept / "data"
    name = f"{cell.data.name}-{cell.size}-{cell.seed}"
    rows, test = (read(file) for file in files(cell, args.shared, kept))
    random.Random(cell.seed).shuffle(rows)
    count = Counter(row["label"] for row in rows)
    valid, rest, wanted = [], [], max(10, round(HELD_OUT * len(rows)))
    for row in rows:
        if len(valid) < wanted and count[row["label"]] > 1:
            count[row["label"]] -= 1
            valid.append(row)
        else:
            rest.append(row)
    known = {row["label"] for row in rest}
    parts = {"train": rest, "valid": valid, "test": [row for row in test[:TEST_ROWS] if row["label"] in known]}
    paths = {part: kept / f"{name}-{part}.csv" for part in parts}
    for part, rows in parts.items():
        write(paths[part], rows)
    return paths


def rehead(args, cell, recipe, *options):
    """The line of one run."""
    paths, out = split(cell, args), args.kept / "run"
    shutil.rmtree(out, ignore_errors=True)
    given = [word for part in ("train", "valid", "test") for word in (f"--{part}", paths[part])]
    command = [args.rehead, "train", *given, "--model", args.model, "--seed", cell.seed, "--out", out]
    command += ["--threads", args.threads, "--json", "--quiet", *cell.data.options, *options]
    metrics = answer(command, args.root)
    shutil.rmtree(out, ignore_errors=True)
    test = metrics["test"]
    return line(cell, recipe) | {
        "strategy": metrics["strategy"], "epochs": metrics["epochs"], "best_epoch": metrics["best_epoch"],
        "seconds": metrics["train_seconds"], "accuracy": test["accuracy"], "macro_f1": test["macro_f1"],
        "loss": test["loss"], "ece": test["ece"], "temperature": metrics.get("temperature"),
        "restart": metrics.get("restart"), "lr": chosen(metrics, "lr"), "majority": max(support(test).values()) / test["rows"],
    }  # fmt: skip


def chosen(metrics, key):
    """What a run has chosen by itself; nothing of what it was told."""
    return next((float(choice["value"]) for choice in metrics["choices"] if choice["key"] == key), None)


def support(scores):
    return {label: found["support"] for label, found in scores["per_class"].items()}


def trainer(args, cell, recipe, rate, epochs):
    """The line of one run of Hugging Face's Trainer, all else as it is by default."""
    paths = split(cell, args)
    command = [sys.executable, args.root / "benches/peers/trainer.py", "--train", paths["train"], "--test", paths["test"]]
    command += ["--model", args.root / args.model, "--seed", cell.seed, "--threads", args.threads, "--json"]
    command += ["--mode", "default", "--batch-size", 8, "--lr", rate, "--epochs", epochs]
    ran = subprocess.run(
        [str(word) for word in (*command, *cell.data.options)], capture_output=True, text=True, cwd=args.root
    )
    if ran.returncode != 0:
        raise SystemExit(ran.stderr[-2000:])
    found = json.loads(ran.stdout)
    return line(cell, recipe) | {
        "strategy": "full", "epochs": found["epochs"], "seconds": found["train_seconds"],
        "accuracy": found["test_accuracy"],
    }  # fmt: skip


def line(cell, recipe):
    return {"data": cell.data.name, "size": cell.size, "seed": cell.seed, "recipe": recipe}


def run(args):
    """The defaults, and the grid."""
    todo = []
    for cell in cells(args):
        for strategy in args.strategies:
            todo.append((cell, strategy, "defaults", ()))
            if not args.defaults:
                todo += [
                    (cell, strategy, f"{rate:.0e}, {epochs}", ("--lr", rate, "--epochs", epochs))
                    for rate, epochs in GRID[cell.size]
                ]
    finish(args, todo)


def near(args):
    """The defaults, and half and twice their learning rate with as many epochs."""
    for cell in cells(args):
        for strategy in args.strategies:
            rate, epochs = found_by_defaults(args, cell, strategy)
            finish(args, [
                (cell, strategy, f"{name} the rate", ("--lr", factor * rate, "--epochs", epochs))
                for name, factor in (("half", 0.5), ("twice", 2.0))
            ])  # fmt: skip


def found_by_defaults(args, cell, strategy):
    """The learning rate and the epochs that the defaults chose."""
    lines = finish(args, [(cell, strategy, "defaults", ())])
    of_cell = lambda found: (found["data"], found["size"], found["seed"], found["strategy"], found["recipe"])
    found = next(found for found in lines if of_cell(found) == (*cell.key, strategy, "defaults"))
    return found["lr"], found["epochs"]


def again(args):
    """The defaults and the two best of the grid with other seeds, which then have had no part in choosing the two."""
    first = defaultdict(dict)
    for found in Lines(args.first).all:
        if found["seed"] == 1 and found["strategy"] == "full" and found["recipe"] not in ("Trainer", "small"):
            first[found["data"], found["size"]][found["recipe"]] = found["accuracy"]
    for cell in cells(args):
        grid = first[cell.key[:2]]
        grid.pop("defaults", None)
        best = sorted(grid, key=grid.get, reverse=True)[:2]
        if best:
            recipes = [(recipe, options_of(recipe)) for recipe in best]
            finish(args, [(cell, "full", recipe, options) for recipe, options in [("defaults", ()), *recipes]])


def options_of(recipe):
    """The options of a recipe of the grid, such as "1e-04, 8" or "1e-04, 20, checkpoint's pooler"."""
    rate, epochs, *pooler = recipe.split(", ")
    return ("--lr", rate, "--epochs", epochs, *(("--pooler-init", "checkpoint") if pooler else ()))


def finish(args, todo):
    """Does the runs that are not done yet, and returns the lines of all."""
    lines = Lines(args.runs)
    done = lines.keys("data", "size", "seed", "strategy", "recipe")
    for cell, strategy, recipe, options in todo:
        if (*cell.key, strategy, recipe) not in done:
            found = rehead(args, cell, recipe, "--strategy", strategy, *options) | {"strategy": strategy}
            lines.add(found)
            print(*cell.key, strategy, recipe, f"{found['accuracy']:.3f}", f"{found['seconds']:.1f} s", flush=True)
    return lines.all


def peer(args):
    """The Trainer with its defaults, or with those of its grid."""
    lines = Lines(args.runs)
    done = lines.keys("data", "size", "seed", "recipe")
    recipes = [(f"Trainer, {rate:.0e}, {epochs}", rate, epochs) for rate, epochs in TRAINER_GRID]
    for cell in cells(args):
        for recipe, rate, epochs in recipes if args.grid else [("Trainer", *TRAINER)]:
            # The script of the Trainer reads one text a row.
            if "--text" not in cell.data.options and (*cell.key, recipe) not in done:
                found = trainer(args, cell, recipe, rate, epochs)
                lines.add(found)
                print(*cell.key, recipe, f"{found['accuracy']:.3f}", flush=True)


def small(args):
    """A hundred runs on 60 to 100 rows with the defaults."""
    lines = Lines(args.runs)
    done = lines.keys("data", "size", "seed", "strategy", "recipe")
    names = [data for data in DATA_SETS if data.name not in ("banking77", "imdb")]
    for seed in range(10, 20):
        for size in (60, 100):
            for data in names:
                cell, strategy = Cell(data, size, size, seed), args.strategies[seed % len(args.strategies)]
                if (*cell.key, strategy, "small") not in done:
                    found = rehead(args, cell, "small", "--strategy", strategy) | {"strategy": strategy}
                    lines.add(found)
                    print(*cell.key, strategy, f"{found['accuracy']:.3f}, majority {found['majority']:.3f}", flush=True)


def table(args):
    lines = Lines(args.runs).all
    by_cell = defaultdict(dict)
    for found in lines:
        if found["recipe"] != "small":
            by_cell[found["data"], found["size"], found["strategy"]].setdefault(found["recipe"], []).append(found)
    print("| data set | rows | strategy | defaults | best of the grid | its rate, epochs | difference | Trainer |")
    print("|---|---|---|---|---|---|---|---|")
    distances = defaultdict(list)
    for (data, size, strategy), found in sorted(by_cell.items()):
        if "defaults" not in found:
            continue
        accuracy = {recipe: mean(one["accuracy"] for one in ones) for recipe, ones in found.items()}
        peer = accuracy.pop("Trainer", None)
        defaults = accuracy.pop("defaults")
        shown = "" if peer is None else f"{peer:.3f}"
        if not accuracy:
            print(f"| {data} | {size:,} | {strategy} | {defaults:.3f} | | | | {shown} |")
            continue
        best = max(accuracy, key=accuracy.get)
        difference = 100 * (defaults - accuracy[best])
        distances[strategy, "fitted" if data in FITTED else "other"].append(difference)
        print(
            f"| {data} | {size:,} | {strategy} | {defaults:.3f} | {accuracy[best]:.3f} | {best} "
            f"| {difference:+.1f} | {shown} |"
        )
    for (strategy, half), differences in sorted(distances.items()):
        print(f"\n{strategy}, {half} data sets: mean {mean(differences):+.2f}, worst {min(differences):+.1f} points")
    runs = [found for found in lines if found["recipe"] == "small"]
    failed = [found for found in runs if found["accuracy"] <= found["majority"]]
    print(f"\nsmall runs: {len(runs)}, no better than the most frequent label: {len(failed)}")
    for found in failed:
        print(f"  {found['data']}, {found['size']} rows, seed {found['seed']}, {found['strategy']}: {found['accuracy']:.3f}")
