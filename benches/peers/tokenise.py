"""Tokenises the texts of a CSV file with `encode_batch` of the Python package `tokenizers`; prints the result as
JSON. The environment variable TOKENIZERS_PARALLELISM decides whether it uses all threads or one."""

import argparse
import json
import os
import statistics
import time

import common
from tokenizers import Tokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="model directory")
    parser.add_argument("--input", required=True, help="CSV")
    parser.add_argument("--text", default="text", help="text column")
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    texts, _ = common.read_rows(arguments.input, arguments.text)
    tokenizer = Tokenizer.from_file(os.path.join(arguments.model, "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(arguments.max_length)

    tokenizer.encode_batch(texts)  # warm-up
    timings = []
    for _ in range(arguments.repeats):
        start = time.perf_counter()
        encodings = tokenizer.encode_batch(texts)
        timings.append(time.perf_counter() - start)
    seconds, tokens = statistics.median(timings), sum(len(encoding.ids) for encoding in encodings)
    result = {
        "peer": "tokenizers encode_batch",
        "parallelism": os.environ["TOKENIZERS_PARALLELISM"],
        "texts": len(texts),
        "tokens": tokens,
        "repeats": timings,
        "seconds": round(seconds, 5),
        "texts_per_second": round(len(texts) / seconds, 1),
        "tokens_per_second": round(tokens / seconds, 1),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
