"""Trains with rehead and with the Trainer: the same rows, epochs, batch size and maximum length."""

import shutil


def rehead(args, processes, inputs, files, seed, strategy, *options):
    train, valid, test = files
    out = inputs.new_run()
    done = processes.rehead(
        "train", "--train", train, "--valid", valid, "--test", test, "--model", inputs.model(), "--strategy", strategy,
        "--batch-size", args.batch_size, "--max-length", args.max_length, "--seed", seed, "--out", out, "--json",
        *options,
    )  # fmt: skip
    metrics = done.json()
    precision = precision_of(out / "rehead.toml")
    shutil.rmtree(out)  # a run takes some hundred megabytes
    return {
        "precision": precision,
        "epochs": metrics["epochs"],
        "seconds": metrics["train_seconds"],
        "tokens_per_second": metrics["tokens_per_second"],
        "accuracy": metrics["test"]["accuracy"],
        "seed": seed,
        "command": done.command,
        "process_seconds": done.seconds,
        "peak_bytes": done.peak_bytes,
    }


def trainer(args, processes, inputs, files, seed, mode, epochs):
    return peer(args, processes, inputs, files, seed, "trainer", epochs, "--mode", mode)


def peer(args, processes, inputs, files, seed, name, epochs, *options):
    """Runs the peer `name`.py, which trains, and returns its measurements."""
    train, _, test = files
    done = processes.peer(
        name, "--train", train, "--test", test, "--model", inputs.model(), "--epochs", epochs,
        "--batch-size", args.batch_size, "--max-length", args.max_length, "--seed", seed, "--threads", args.threads,
        "--device", args.device, "--json", *options,
    )  # fmt: skip
    result = done.json()
    kept = ("precision", "compiled", "epochs", "steps", "tokens_per_second", "seed")
    return {name: result[name] for name in kept} | {
        "seconds": result["train_seconds"],
        "accuracy": result["test_accuracy"],
        "command": done.command,
        "process_seconds": done.seconds,
        "peak_bytes": done.peak_bytes,
    }


def work(args, inputs, contenders):
    """The contenders of each round, as `contenders(files, seed)` gives them. With --whole there is one round per
    seed, on all the data; else each repeat trains on the same subset."""
    if args.whole:
        return [contenders(inputs.whole(), seed) for seed in args.seeds]
    return [contenders(inputs.subset(), args.seeds[0])] * args.repeats


def rows(args):
    return "all rows" if args.whole else f"{args.train_rows} rows"


def show(measurement):
    measurement.show(("tokens_per_second", "tokens/s", ",.0f"), ("accuracy", "accuracy", ".4f"))
    for name, series in measurement.series.items():
        chosen = {f"{sample['precision']}{', compiled' if sample.get('compiled') else ''}" for sample in series.samples}
        print(f"  {name}: {', '.join(sorted(chosen))}")


def precision_of(settings):
    """The precision in a run's saved settings, which is a line such as `precision = "bf16"`."""
    lines = settings.read_text(encoding="utf-8").splitlines()
    return next((line.split('"')[1] for line in lines if line.startswith("precision = ")), "unknown")
