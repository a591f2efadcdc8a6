"""Turning texts into token ids, on all threads and on one. rehead and the Rust crate `tokenizers`, called directly,
take turns within one process; Python's package `tokenizers` runs in its own."""

from harness.inputs import read_csv
from harness.results import Measurement, Series

OURS, CRATES = "rehead", ("encode_batch_fast", "encode_batch")
KEYS = ("seconds", "texts_per_second", "tokens_per_second")


def measure(args, processes, inputs):
    texts, _ = inputs.texts()
    options = ["--model", inputs.model(), "--input", texts, "--max-length", args.max_length]
    told = []

    def rust():
        bench = ["cargo", "bench", "--quiet", "--bench", "tokenise", "--"]
        done = processes.run([*bench, *options, "--threads", args.threads])
        told.append((done.json()["results"], done.command))
        return {"seconds": done.seconds}

    def python(parallel):
        done = processes.peer("tokenise", *options, TOKENIZERS_PARALLELISM=parallel)
        result = done.json()
        return {name: result[name] for name in KEYS} | {"command": done.command}

    parallelism = {"1 thread": "false"}
    if args.threads != 1:
        parallelism = {f"{args.threads} threads": "true"} | parallelism
    result = Measurement("tokenise", f"{len(read_csv(texts))} texts, at most {args.max_length} tokens of each")
    pythons = {f"Python, {threads}": lambda p=parallel: python(p) for threads, parallel in parallelism.items()}
    result.interleave({"rust": rust} | pythons, args.repeats)

    result.series.pop("rust")
    measured, result.series = result.series, {}
    for threads in parallelism:
        for name in (OURS, *CRATES):
            samples = [results[threads][name] | {"command": command} for results, command in told]
            result.series[f"{name}, {threads}"] = Series(f"{name}, {threads}", samples)
    result.series |= measured
    for threads in parallelism:
        for name, goal in (("encode_batch_fast", 1.0), ("encode_batch", None), ("Python", None)):
            result.compare(f"{threads}: {name} / ours", f"{OURS}, {threads}", f"{name}, {threads}", goal)
    result.show(("texts_per_second", "texts/s", ",.0f"), ("tokens_per_second", "tokens/s", ",.0f"))
    return result
