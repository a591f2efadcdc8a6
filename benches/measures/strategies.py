"""Accuracy of every strategy on all test rows, and the time of training, compared with the same parameters trained by
the Trainer (PEFT for LoRA)."""

import math
import statistics

from harness.results import Measurement

from . import training

EPOCHS = 3

# By strategy: the peer's program and its options. It trains the same parameters at the same learning rate as rehead.
PEERS = {
    "full": ("trainer", "--mode", "best", "--lr", "5e-5"),
    "last:2": ("trainer", "--mode", "best", "--only", "last:2", "--lr", "1e-4"),
    "bitfit": ("trainer", "--mode", "best", "--only", "biases", "--lr", "1e-3"),
    "lora": ("peft_trainer",),
    "frozen": ("trainer", "--mode", "frozen"),
}


def measure(args, processes, inputs):
    _, valid, test = inputs.whole()
    seeds = ", ".join(map(str, args.seeds))
    result = Measurement("strategies", f"{args.train_rows} rows, epochs: {EPOCHS}, seeds {seeds}")

    def contenders(seed):
        files = (inputs.subset()[0], valid, test)
        found = {}
        for strategy, (program, *options) in PEERS.items():
            epochs = [] if strategy == "frozen" else ["--epochs", EPOCHS]
            found[strategy] = lambda strategy=strategy, epochs=epochs: training.rehead(
                args, processes, inputs, files, seed, strategy, *epochs
            )
            found[f"{strategy}, peer"] = lambda program=program, options=options: training.peer(
                args, processes, inputs, files, seed, program, EPOCHS, *options
            )
        return found

    result.take_turns([contenders(seed) for seed in args.seeds])
    rows = sum(1 for _ in open(test, encoding="utf-8")) - 1
    for strategy in PEERS:
        result.compare(f"{strategy}: peer / rehead, time", strategy, f"{strategy}, peer")
    training.show(result)
    for strategy in PEERS:
        ours, theirs = (
            statistics.mean(sample["accuracy"] for sample in result.series[name].samples)
            for name in (strategy, f"{strategy}, peer")
        )
        # The interval of a difference between accuracies on independent rows. Both sides label the same rows and often
        # agree, so the true interval is narrower.
        half = 1.96 * math.sqrt((ours * (1 - ours) + theirs * (1 - theirs)) / rows)
        print(f"  {strategy}: {ours:.4f} against {theirs:.4f}: {ours - theirs:+.4f} (95 %: ± {half:.4f})")
    return result
