"""What the labelling peers share: their arguments, batches of similar length, the timing and the result.

The time is the median of the repeats, from texts to labels. It includes tokenising, but neither loading the model nor
the warm-up.
"""

import argparse
import json
import statistics
import sys
import time

import common
import torch


def main(peer, load):
    """Labels the texts of a CSV file. `load(arguments, device)` returns a tokenizer and a labelling function."""
    arguments = parse(peer)
    common.quiet()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = common.device_of(arguments.device)
    texts, _ = common.read_rows(arguments.input, arguments.text)
    texts = texts[: arguments.limit]

    loaded = time.perf_counter()
    tokenizer, label = load(arguments, device)
    loaded = time.perf_counter() - loaded

    label(texts[: 2 * arguments.batch_size])  # warm-up
    timings = []
    for _ in range(arguments.repeats):
        common.synchronize(device)
        start = time.perf_counter()
        labels = label(texts)
        common.synchronize(device)
        timings.append(time.perf_counter() - start)
    if len(labels) != len(texts):
        sys.exit(f"{len(texts)} texts, {len(labels)} labels")

    if arguments.labels:
        with open(arguments.labels, "w", encoding="utf-8") as file:
            json.dump(labels, file)
    encodings = tokenizer(texts, truncation=True, max_length=arguments.max_length, padding=False)
    tokens = sum(len(ids) for ids in encodings["input_ids"])
    seconds = statistics.median(timings)
    result = {
        "peer": peer,
        "model": arguments.model,
        "precision": arguments.precision,
        "batch_size": arguments.batch_size,
        "max_length": arguments.max_length,
        "texts": len(texts),
        "tokens": tokens,
        "repeats": timings,
        "load_seconds": round(loaded, 3),
        "seconds": round(seconds, 4),
        "texts_per_second": round(len(texts) / seconds, 1),
        "tokens_per_second": round(tokens / seconds, 1),
        "label_counts": {name: labels.count(name) for name in sorted(set(labels))},
    }
    print(json.dumps(result | common.surroundings(device), indent=2))


def parse(peer):
    parser = argparse.ArgumentParser(description=f"Labels the texts of a CSV with {peer}; prints the result as JSON.")
    parser.add_argument("--model", required=True, help="directory of a classifier")
    parser.add_argument("--onnx", help="the same classifier as an ONNX file, for ONNX Runtime")
    parser.add_argument("--input", required=True, help="CSV")
    parser.add_argument("--text", default="text", help="text column")
    parser.add_argument("--precision", choices=["fp32", "bf16", "int8"], default="fp32")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--threads", type=int, help="default: torch's own choice")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--limit", type=int, help="only the first texts (a smoke test)")
    parser.add_argument("--labels", help="file for the labels, a JSON list")
    return parser.parse_args()


def sorted_batches(tokenizer, texts, arguments, tensors):
    """Tokenises all texts at once and yields batches of similar length, longest first, each with its row numbers."""
    encodings = tokenizer(texts, truncation=True, max_length=arguments.max_length, padding=False)
    order = sorted(range(len(texts)), key=lambda row: len(encodings["input_ids"][row]), reverse=True)
    for first in range(0, len(order), arguments.batch_size):
        rows = order[first : first + arguments.batch_size]
        columns = {key: [values[row] for row in rows] for key, values in encodings.items()}
        yield rows, tokenizer.pad(columns, return_tensors=tensors)
