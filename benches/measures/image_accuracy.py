"""Accuracy of the project's small network with a new head on test photographs, compared with the same weights and
settings in a script of timm and torchvision."""

import math
import shutil
import statistics

from harness.inputs import BENCH
from harness.results import Measurement
from harness.settings import ROOT

MODEL = ROOT / "data/models/small-resnet"
EPOCHS = 15
# Name: folder, classes (None: all), and at most how many images per class to train on and to test on.
DATA = {
    "cifar10, horse or deer": ("cifar10", ("horse", "deer"), 150, 500),
    "cifar10, four animals": ("cifar10", ("cat", "deer", "dog", "horse"), 250, 500),
    "hymenoptera": ("hymenoptera", None, 1000, 1000),
}


def measure(args, processes, inputs):
    seeds = ", ".join(map(str, args.seeds))
    result = Measurement("image_accuracy", f"epochs: {EPOCHS}, batches of {args.batch_size}, seeds {seeds}")

    def rehead(data, strategy, seed):
        out = inputs.new_run()
        done = processes.rehead(
            "train", "--train", data / "train", "--test", data / "test", "--model", MODEL, "--strategy", strategy,
            "--batch-size", args.batch_size, "--seed", seed, "--out", out, "--json",
            # Eight training images per class serve as validation data, so that choosing the best epoch gives rehead no
            # advantage. A frozen head needs images that it is not fitted on to choose its l2: by default a tenth of
            # the training images.
            *(["--valid", data / "valid", "--epochs", EPOCHS, "--lr", "3e-4"] if strategy == "full" else []),
        )  # fmt: skip
        metrics = done.json()
        shutil.rmtree(out)
        return {
            "seconds": metrics["train_seconds"] + metrics["prepare_seconds"],
            "accuracy": metrics["test"]["accuracy"],
            "seed": seed,
            "command": done.command,
        }

    def peer(data, mode, seed):
        done = processes.peer(
            "image_trainer", "--train", data / "train", "--test", data / "test", "--model", MODEL, "--mode", mode,
            "--epochs", EPOCHS, "--batch-size", args.batch_size, "--seed", seed, "--threads", args.threads,
            "--device", args.device, "--json",
        )  # fmt: skip
        found = done.json()
        return {
            "seconds": found["train_seconds"],
            "accuracy": found["test_accuracy"],
            "seed": seed,
            "command": done.command,
        }

    def contenders(seed):
        return {
            f"{name}, {strategy}{suffix}": lambda side=side, data=data, strategy=strategy: side(data, strategy, seed)
            for name, data in folders.items()
            for strategy in ("full", "frozen")
            for side, suffix in ((rehead, ""), (peer, ", timm"))
        }

    folders = {name: made(*how) for name, how in DATA.items()}
    result.take_turns([contenders(seed) for seed in args.seeds])
    result.show(("accuracy", "accuracy", ".4f"))
    for name, data in folders.items():
        rows = sum(1 for _ in (data / "test").rglob("*.*"))
        for strategy in ("full", "frozen"):
            ours, theirs = (
                statistics.mean(sample["accuracy"] for sample in result.series[f"{name}, {strategy}{side}"].samples)
                for side in ("", ", timm")
            )
            # The interval of a difference between accuracies on independent images. Both sides label the same images
            # and often agree, so the true interval is narrower.
            half = 1.96 * math.sqrt((ours * (1 - ours) + theirs * (1 - theirs)) / rows)
            interval = f"(95 %: ± {half:.4f}, {rows} images)"
            print(f"  {name}, {strategy}: {ours:.4f} against {theirs:.4f}: {ours - theirs:+.4f} {interval}")
    return result


def made(data, classes, train, test):
    """The folder with copies of the chosen images, made if it does not exist."""
    source = ROOT.parent / "shared/data" / data
    folder = BENCH / "images-accuracy" / "-".join([data, *(classes or ())])
    if not folder.exists():
        for part, of, count in (("train", "train", train), ("valid", "train", 8), ("test", "test", test)):
            for kind in classes or sorted(one.name for one in (source / of).iterdir()):
                into = folder / part / kind
                into.mkdir(parents=True)
                for file in sorted((source / of / kind).iterdir())[:count]:
                    shutil.copy(file, into)
    return folder
