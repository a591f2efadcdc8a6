"""The defaults of training for images: beside half and twice their learning rate, and half and twice their epochs, on
three data sets of small photographs, with the project's small network."""

import shutil
import tempfile
from pathlib import Path

from .recipe import chosen
from .runs import Lines, answer

# Name: folder, and the classes used (None: all).
DATA = {
    "cifar10, four animals": ("cifar10", ("cat", "deer", "dog", "horse")),
    "hymenoptera": ("hymenoptera", None),
    "sign_digits": ("sign_digits", None),
}
IMAGES, TEST = 300, 500
# Factors of the learning rate and of the epochs.
NEAR = {
    "half the rate": (0.5, 1),
    "twice the rate": (2, 1),
    "half the epochs": (1, 0.5),
    "twice the epochs": (1, 2),
}


def deal(source, classes, images, into):
    """Copies the first images of each class to `into`, at most `images` in all, and returns their number."""
    count = 0
    kinds = classes or sorted(one.name for one in source.iterdir() if one.is_dir())
    for kind in kinds:
        (into / kind).mkdir(parents=True)
        for file in sorted((source / kind).iterdir())[: images // len(kinds)]:
            shutil.copy(file, into / kind)
            count += 1
    return count


def near(args):
    lines = Lines(args.runs)
    done = lambda: lines.keys("data", "size", "seed", "strategy", "recipe")
    for seed in args.seeds:
        for name, (folder, classes) in DATA.items():
            if args.only and name not in args.only:
                continue
            scratch = Path(tempfile.mkdtemp())
            images = deal(args.shared / folder / "train", classes, IMAGES, scratch / "train")
            deal(args.shared / folder / "test", classes, TEST, scratch / "test")

            def run(recipe, *options):
                if (name, images, seed, "full", recipe) not in done():
                    found = trained(args, scratch, seed, *options)
                    lines.add({"data": name, "size": images, "seed": seed, "recipe": recipe} | found)
                    print(name, images, seed, recipe, f"{found['accuracy']:.3f}", f"{found['seconds']:.1f} s", flush=True)
                key = (name, images, seed, recipe)
                return next(one for one in lines.all if (one["data"], one["size"], one["seed"], one["recipe"]) == key)

            defaults = run("defaults")
            for recipe, (of_rate, of_epochs) in NEAR.items():
                epochs = max(1, round(of_epochs * defaults["epochs"]))
                run(recipe, "--lr", of_rate * defaults["lr"], "--epochs", epochs)
            shutil.rmtree(scratch)


def trained(args, scratch, seed, *options):
    """What one run reports."""
    out = scratch / "run"
    shutil.rmtree(out, ignore_errors=True)
    command = [args.rehead, "train", "--train", scratch / "train", "--test", scratch / "test", "--model", args.model]
    command += ["--seed", seed, "--threads", args.threads, "--out", out, "--json", "--quiet", *options]
    metrics = answer(command, args.root)
    test = metrics["test"]
    return {
        "strategy": metrics["strategy"], "epochs": metrics["epochs"], "best_epoch": metrics["best_epoch"],
        "seconds": metrics["train_seconds"], "lr": chosen(metrics, "lr"), "accuracy": test["accuracy"],
        "macro_f1": test["macro_f1"], "loss": test["loss"], "rows": test["rows"],
    }  # fmt: skip
