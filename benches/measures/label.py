"""Labelling many texts. The peers' time runs from texts to labels, with the model loaded. rehead's time is that of the
process, which reads and writes files, minus the time of labelling a file of one row, measured just before."""

import csv
import json

from harness import machine
from harness.inputs import read_csv, write_csv
from harness.results import Measurement


def measure(args, processes, inputs):
    texts, tested = inputs.texts()
    rows = read_csv(texts)
    one = inputs.scratch / "one.csv"
    write_csv(one, rows[:1])
    classifier = inputs.classifier()
    answers = {}

    written = inputs.scratch / "labelled.csv"

    def process(file, precision):
        return processes.rehead(
            "label", "--model", classifier, "--input", file, "--output", written, "--precision", precision,
            "--max-length", args.max_length, may_refuse=True,
        )  # fmt: skip

    def rehead(precision):
        start, done = process(one, precision), process(texts, precision)
        with open(written, encoding="utf-8", newline="") as file:
            answers[f"rehead {precision}"] = [row["predicted_label"] for row in csv.DictReader(file)]
        return {
            "seconds": done.seconds - start.seconds,
            "process_seconds": done.seconds,
            "start_seconds": start.seconds,
            "command": done.command,
            "peak_bytes": done.peak_bytes,
        }

    def peer(name, program, precision, *options):
        told = inputs.scratch / "labels.json"
        done = processes.peer(
            program, "--model", classifier, "--input", texts, "--precision", precision, "--labels", told,
            "--batch-size", args.batch_size, "--max-length", args.max_length, "--threads", args.threads,
            "--device", args.device, *options,
        )  # fmt: skip
        answers[name] = json.loads(told.read_text(encoding="utf-8"))
        result = done.json()
        return {
            "seconds": result["seconds"],
            "tokens": result["tokens"],
            "process_seconds": done.seconds,
            "load_seconds": result["load_seconds"],
            "command": done.command,
            "peak_bytes": done.peak_bytes,
        }

    on_gpu = machine.has_gpu() and args.device != "cpu"
    contenders = {f"rehead {precision}": lambda p=precision: rehead(p) for precision in ("bf16", "fp32", "int8")}
    contenders["pipeline fp32"] = lambda: peer("pipeline fp32", "pipeline_label", "fp32")
    for precision in ("fp32", "bf16"):
        name = f"torch sorted {precision}"
        contenders[name] = lambda n=name, p=precision: peer(n, "torch_label", p)
    if not on_gpu:
        for precision in ("fp32", "int8"):
            name, file = f"ONNX Runtime sorted {precision}", inputs.onnx(classifier) / f"{precision}.onnx"
            contenders[name] = lambda n=name, p=precision, f=file: peer(n, "onnx_label", p, "--onnx", f)
    if not on_gpu and not machine.has_fast_bf16():
        # Without these instructions bf16 takes many times as long as fp32.
        contenders = {name: run for name, run in contenders.items() if not name.endswith("bf16")}

    result = Measurement("label", f"{len(rows)} distinct texts, the first {tested} from the test file")
    process(one, "fp32")  # warms the page cache
    result.interleave(contenders, args.repeats)
    score(result, rows, tested, answers)
    tokens = result.series["pipeline fp32"].samples[0]["tokens"]
    for series in result.series.values():
        for sample in series.samples:
            sample["tokens_per_second"] = tokens / sample["seconds"]

    result.compare("pipeline fp32 / rehead bf16", "rehead bf16", "pipeline fp32", goal=4.5)
    result.compare("torch sorted bf16 / rehead bf16", "rehead bf16", "torch sorted bf16", goal=1.3)
    result.compare("pipeline fp32 / rehead int8", "rehead int8", "pipeline fp32", goal=6.0)
    result.compare("ONNX Runtime sorted int8 / rehead int8", "rehead int8", "ONNX Runtime sorted int8", goal=1.3)
    result.compare("pipeline fp32 / rehead fp32", "rehead fp32", "pipeline fp32")
    result.compare("torch sorted fp32 / rehead fp32", "rehead fp32", "torch sorted fp32")
    result.compare("ONNX Runtime sorted fp32 / rehead fp32", "rehead fp32", "ONNX Runtime sorted fp32")
    result.show(
        ("tokens_per_second", "tokens/s", ",.0f"),
        ("process_seconds", "whole process", ".2f"),
        ("accuracy", "accuracy", ".4f"),
        ("agreement", "as pipeline", ".4f"),
    )
    return result


def score(result, rows, tested, answers):
    """Adds the accuracy on the test file's texts, and the share of all texts with the same label as the pipeline's."""
    for name, series in result.series.items():
        labels = answers[name]
        right = sum(row["label"] == label for row, label in zip(rows[:tested], labels))
        same = sum(one == other for one, other in zip(labels, answers["pipeline fp32"]))
        for sample in series.samples:
            sample |= {"accuracy": right / tested, "agreement": same / len(rows)}
