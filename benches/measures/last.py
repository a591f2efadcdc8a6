"""What a step costs when the lower half of the layers is frozen and their activations are kept, beside a step of full training, and
beside what its share of the arithmetic predicts. No peer."""

import json
import shutil
import statistics

from harness.results import Goal, Measurement

EPOCHS = 3


def measure(args, processes, inputs):
    train, valid, _ = inputs.subset()
    config = json.loads((inputs.model() / "config.json").read_text())
    layers = config["num_hidden_layers"]
    half = layers // 2

    def step(strategy):
        out = inputs.new_run()
        done = processes.rehead(
            "train", "--train", train, "--valid", valid, "--model", inputs.model(), "--strategy", strategy, "--epochs", EPOCHS,
            "--max-length", args.max_length, "--set", "log_every=10", "--out", out, "--json",
        )  # fmt: skip
        records = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
        rates = [record["tokens_per_second"] for record in records if record["kind"] == "step"]
        shutil.rmtree(out)
        # Both strategies see the same batches: a token's time stands for a step's.
        return {"seconds": 1000 / statistics.median(rates), "command": done.command, "process_seconds": done.seconds}

    result = Measurement("last", f"last:{half} of {layers} layers, seconds for 1,000 tokens of training")
    contenders = {"full": lambda: step("full"), f"last:{half}": lambda: step(f"last:{half}")}
    result.interleave(contenders, args.repeats)
    result.show()
    medians = [result.series[name].median("seconds") for name in contenders]
    share = products(config, half, False) / products(config, layers, True)
    measured = medians[1] / medians[0]
    print(f"  share of the arithmetic: {share:.3f}; of the time: {measured:.3f}")
    result.goals.append(Goal("time of a step / its share of the arithmetic", measured / share, goal=1.15, most=True))
    print(f"  {result.goals[-1].line()}")
    return result


def products(config, trained, embeddings):
    """Multiplications a token of the trained layers' matrix products, forward and backward. Of the last layer the first token alone is
    wanted, so for all others there are keys and values alone; below the first trained layer nothing wants a gradient."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    layer = 4 * width**2 + 2 * width * inner
    forward = (trained - 1) * layer + 2 * width**2
    return 3 * forward - (0 if embeddings else 3 * width**2)
