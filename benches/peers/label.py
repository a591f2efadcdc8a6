"""Labels the texts of a CSV with transformers, to be measured beside `rehead label`.

python label.py --model DIR --input texts.csv --mode pipeline --json

pipeline  `pipeline("text-classification")`: batches of 32 in the file's order, padded to the longest, fp32
sorted    the same model by hand: tokenised at once, batches of texts of similar length, SDPA, fp32 or bf16

Timed from texts to labels, tokenising included, model loaded and warm; the median of the repeats. `sorted` also reports
the forward passes alone.
"""

import argparse
import json
import statistics
import sys
import time

import common
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline


def main():
    arguments = parse()
    common.quiet()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = common.device_of(arguments.device)
    texts, _ = common.read_rows(arguments.input, arguments.text)
    texts = texts[: arguments.limit]

    loaded = time.perf_counter()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model, trust_remote_code=arguments.trust_remote_code)
    model = AutoModelForSequenceClassification.from_pretrained(
        arguments.model,
        dtype=torch.bfloat16 if arguments.precision == "bf16" else torch.float32,
        attn_implementation="sdpa",
        trust_remote_code=arguments.trust_remote_code,
    )
    model = model.to(device).eval()
    loaded = time.perf_counter() - loaded

    label = pipeline_labels if arguments.mode == "pipeline" else sorted_labels
    run = label(model, tokenizer, device, arguments)
    run(texts[: 2 * arguments.batch_size])  # warm-up
    timings, forward_timings = [], []
    for _ in range(arguments.repeats):
        common.synchronize(device)
        start = time.perf_counter()
        labels, forward = run(texts)
        common.synchronize(device)
        timings.append(time.perf_counter() - start)
        if forward is not None:
            forward_timings.append(forward)
    if len(labels) != len(texts):
        sys.exit(f"{len(texts)} texts, {len(labels)} labels")

    encodings = tokenizer(texts, truncation=True, max_length=arguments.max_length, padding=False)
    tokens = sum(len(ids) for ids in encodings["input_ids"])
    seconds = statistics.median(timings)
    result = {
        "peer": f"transformers {arguments.mode}",
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
    }
    if forward_timings:
        result["forward_seconds"] = round(statistics.median(forward_timings), 4)
        result["forward_tokens_per_second"] = round(tokens / statistics.median(forward_timings), 1)
    result["label_counts"] = {name: labels.count(name) for name in sorted(set(labels))}
    result |= common.surroundings(device)
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        print(
            f"{arguments.mode} ({arguments.precision}): {seconds:.2f} s for {len(texts)} texts,"
            f" {result['texts_per_second']:.0f} texts/s, {result['tokens_per_second']:.0f} tokens/s without padding"
        )


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="directory of a classifier")
    parser.add_argument("--input", required=True, help="CSV")
    parser.add_argument("--text", default="text", help="text column")
    parser.add_argument("--mode", choices=["pipeline", "sorted"], default="pipeline")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--threads", type=int, help="default: torch's own choice")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--limit", type=int, help="only the first texts (a smoke test)")
    parser.add_argument("--trust-remote-code", action="store_true", help="for rehead's mean-pooled runs")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def pipeline_labels(model, tokenizer, device, arguments):
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer, device=device)

    def run(texts):
        results = classify(
            texts, batch_size=arguments.batch_size, truncation=True, max_length=arguments.max_length
        )
        return [result["label"] for result in results], None

    return run


def sorted_labels(model, tokenizer, device, arguments):
    names = model.config.id2label

    @torch.inference_mode()
    def run(texts):
        encodings = tokenizer(texts, truncation=True, max_length=arguments.max_length, padding=False)
        order = sorted(range(len(texts)), key=lambda row: len(encodings["input_ids"][row]), reverse=True)
        labels = [None] * len(texts)
        forward = 0.0
        for first in range(0, len(order), arguments.batch_size):
            rows = order[first : first + arguments.batch_size]
            batch = tokenizer.pad(
                {key: [values[row] for row in rows] for key, values in encodings.items()}, return_tensors="pt"
            )
            start = time.perf_counter()
            classes = model(**batch.to(device)).logits.argmax(-1).tolist()
            forward += time.perf_counter() - start
            for row, index in zip(rows, classes):
                labels[row] = names[index]
        return labels, forward

    return run


if __name__ == "__main__":
    main()
