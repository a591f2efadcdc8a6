"""Computes mean-pooled features of the texts of a CSV file with sentence-transformers' `encode`, in fp32 or bf16.
Prints the result as JSON.

The time is the median of the repeats, from texts to features, minus that of tokenising the same batches: rehead
tokenises before its clock starts.
"""

import argparse
import json
import statistics
import time

import common
import torch
from sentence_transformers import SentenceTransformer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="model directory")
    parser.add_argument("--input", required=True, help="CSV")
    parser.add_argument("--text", default="text", help="text column")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--threads", type=int, help="default: torch's own choice")
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    common.quiet()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = common.device_of(arguments.device)
    texts, _ = common.read_rows(arguments.input, arguments.text)

    # For a plain model directory sentence-transformers pools by the mean over the tokens.
    model = SentenceTransformer(arguments.model, device=device)
    model.max_seq_length = arguments.max_length
    if arguments.precision == "bf16":
        model.bfloat16()
    encode = lambda texts: model.encode(texts, batch_size=arguments.batch_size, show_progress_bar=False)
    encode(texts[: 2 * arguments.batch_size])  # warm-up
    tokenising = median_seconds(lambda: tokenise(model.tokenizer, texts, arguments), arguments.repeats, device)
    encoding = median_seconds(lambda: encode(texts), arguments.repeats, device)

    tokens = sum(map(len, model.tokenizer(texts, truncation=True, max_length=arguments.max_length)["input_ids"]))
    seconds = encoding - tokenising
    result = {
        "peer": "sentence-transformers",
        "precision": arguments.precision,
        "texts": len(texts),
        "tokens": tokens,
        "seconds": round(seconds, 4),
        "tokenising_seconds": round(tokenising, 4),
        "tokens_per_second": round(tokens / seconds, 1),
    }
    print(json.dumps(result | common.surroundings(device), indent=2))


def tokenise(tokenizer, texts, arguments):
    """Tokenises as `encode` does: in padded batches, ordered by length in characters."""
    texts = sorted(texts, key=len, reverse=True)
    for first in range(0, len(texts), arguments.batch_size):
        batch = texts[first : first + arguments.batch_size]
        tokenizer(batch, padding=True, truncation=True, max_length=arguments.max_length, return_tensors="pt")


def median_seconds(work, repeats, device):
    timings = []
    for _ in range(repeats):
        common.synchronize(device)
        start = time.perf_counter()
        work()
        common.synchronize(device)
        timings.append(time.perf_counter() - start)
    return statistics.median(timings)


if __name__ == "__main__":
    main()
