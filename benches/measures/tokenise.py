"""How many texts a second Python's `tokenizers` encodes: a number to stand beside our own tokenising."""

from harness.inputs import read_csv
from harness.results import Measurement


def measure(args, processes, inputs):
    texts, _ = inputs.texts()

    def encode(parallelism):
        done = processes.peer(
            "tokenise", "--model", inputs.model(), "--input", texts, "--max-length", args.max_length,
            TOKENIZERS_PARALLELISM=parallelism,
        )  # fmt: skip
        result = done.json()
        return {name: result[name] for name in ("seconds", "texts_per_second", "tokens_per_second")} | {"command": done.command}

    result = Measurement("tokenise", f"{len(read_csv(texts))} texts, Python's tokenizers, encode_batch")
    result.interleave(
        {f"{args.threads} threads": lambda: encode("true"), "1 thread": lambda: encode("false")}, args.repeats
    )
    result.show(("texts_per_second", "texts/s", ",.0f"), ("tokens_per_second", "tokens/s", ",.0f"))
    return result
