"""Time of a training step when the lower half of the layers is frozen and their outputs are cached, compared with a
step of full training and with the share of the arithmetic that is left. There is no peer."""

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
            "train", "--train", train, "--valid", valid, "--model", inputs.model(), "--strategy", strategy,
            "--epochs", EPOCHS, "--max-length", args.max_length, "--set", "log_every=10", "--out", out, "--json",
        )  # fmt: skip
        records = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
        rates = [record["tokens_per_second"] for record in records if record["kind"] == "step"]
        shutil.rmtree(out)
        # Both strategies train on the same batches, so the time per token compares as the time per step does.
        return {"seconds": 1000 / statistics.median(rates), "command": done.command, "process_seconds": done.seconds}

    result = Measurement("last", f"last:{half} of {layers} layers, seconds for 1,000 tokens of training")
    contenders = {"full": lambda: step("full"), f"last:{half}": lambda: step(f"last:{half}")}
    result.interleave(contenders, args.repeats)
    result.show()
    medians = [result.series[name].median("seconds") for name in contenders]
    share = products(config, half, False) / products(config, layers, True)
    measured = medians[1] / medians[0]
    print(f"  share of the arithmetic: {share:.3f}; of the time: {measured:.3f}")
    title = "time of a step / its share of the arithmetic"
    result.goals.append(Goal(title, measured / share, goal=1.15, most=True))
    print(f"  {result.goals[-1].line()}")
    return result


def products(config, trained, embeddings):
    """Multiplications per token in the matrix products of the trained layers, forward and backward.

    The head reads only the first token, so the last layer computes only keys and values for the other tokens. No
    gradient is computed below the first trained layer.
    """
    width, inner = config["hidden_size"], config["intermediate_size"]
    layer = 4 * width**2 + 2 * width * inner
    forward = (trained - 1) * layer + 2 * width**2
    return 3 * forward - (0 if embeddings else 3 * width**2)
