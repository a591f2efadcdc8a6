"""Checks that Python's transformers loads a run of rehead and computes the probabilities that `rehead label` wrote.

Usage: python check_run.py RUN DATA.csv PREDICTIONS.csv [--text COL[,COL2]] [--trust-remote-code] [--expect-class NAME]
       python check_run.py RUN --expect-refusal
       python check_run.py --list CHECKS.jsonl

PREDICTIONS.csv comes from `rehead label --model RUN --input DATA.csv --probabilities --precision fp32 --output …`. Each
text is computed by itself. The exit status is 1 if a difference is above the tolerance, if transformers misses or does
not use a weight, or if rows or columns differ. `--expect-refusal` checks that a mean-pooled run does not load unless
remote code is trusted. `--list` checks several runs in one process (to import transformers takes longer than a check):
every line of the file is the JSON array of one check's arguments.
"""

import argparse
import contextlib
import csv
import io
import json
import os
import sys
import warnings
from pathlib import Path

# A run must load without the hub.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("predictions", type=Path, nargs="?")
    parser.add_argument("--text", default="text", help="text column, or two of them separated by a comma")
    parser.add_argument("--trust-remote-code", action="store_true")
    parser.add_argument("--alone", action="store_true", help="padding changes the results: batches of one text")
    parser.add_argument("--expect-refusal", action="store_true")
    parser.add_argument("--expect-class", help="the class that transformers must load the run as")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--list", type=Path, help="a file with the arguments of many checks")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()

    if arguments.list:
        lines = arguments.list.read_text(encoding="utf-8").splitlines()
        passed = [check(parser, parser.parse_args(json.loads(line))) for line in lines]
    else:
        passed = [check(parser, arguments)]
    sys.exit(0 if all(passed) else 1)


def check(parser, arguments):
    """Makes one check, prints what it finds, and says whether all was well."""
    if arguments.run and arguments.expect_refusal:
        problems = check_refusal(arguments.run)
    elif arguments.run and arguments.data and arguments.predictions:
        problems = check_predictions(arguments)
    else:
        parser.error("RUN, DATA.csv and PREDICTIONS.csv are needed")
    for problem in problems[:20]:
        print(problem, file=sys.stderr)
    if len(problems) > 20:
        print(f"and {len(problems) - 20} more", file=sys.stderr)
    return not problems


def check_refusal(run):
    """A run with its own Python code names that code in config.json, and does not load as any other model."""
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    problems = []
    if not config.get("model_type", "").startswith("rehead_"):
        problems.append(f"{run}: model_type is {config.get('model_type')!r}, not rehead's own")
    if "AutoModelForSequenceClassification" not in config.get("auto_map", {}):
        problems.append(f"{run}: config.json has no auto_map for sequence classification")
    # With trust refused, and by default. With no standard input, transformers cannot ask on the terminal.
    sys.stdin = open(os.devnull)
    for options in ({"trust_remote_code": False}, {}):
        for loader in (AutoModelForSequenceClassification, transformers.AutoModel):
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    model = loader.from_pretrained(run, **options)
            except (ValueError, OSError) as error:
                print(f"refused, as it should be: {str(error).splitlines()[0]}")
            else:
                problems.append(f"{run}: loaded as {type(model).__name__} with {options or 'no options'}")
    return problems


def check_predictions(arguments):
    model, loading = AutoModelForSequenceClassification.from_pretrained(
        arguments.run,
        dtype=torch.float32,
        trust_remote_code=arguments.trust_remote_code,
        output_loading_info=True,
    )
    model.eval()
    problems = [f"{arguments.run}: {what}: {sorted(keys)}" for what, keys in loading.items() if keys]
    if arguments.expect_class not in (None, type(model).__name__):
        problems.append(f"{arguments.run}: loaded as {type(model).__name__}, not {arguments.expect_class}")
    tokenizer = AutoTokenizer.from_pretrained(arguments.run, trust_remote_code=arguments.trust_remote_code)
    positions = model.config.max_position_embeddings
    max_length = min(tokenizer.model_max_length, positions) if positions > 0 else tokenizer.model_max_length
    labels = [model.config.id2label[index] for index in range(model.config.num_labels)]

    data, predictions = read(arguments.data), read(arguments.predictions)
    if len(data) != len(predictions):
        return problems + [f"{len(data)} rows of data, {len(predictions)} rows of predictions"]
    if not data:
        return problems + [f"{arguments.data}: it has no rows to compare"]
    columns = arguments.text.split(",")
    if model.config.problem_type == "regression":
        return problems + check_numbers(model, tokenizer, data, predictions, columns, max_length, arguments)
    several = model.config.problem_type == "multi_label_classification"
    own = ["predicted_labels"] if several else ["predicted_label", "confidence"]
    wanted = columns + own + [f"p_{label}" for label in labels]
    absent = [column for column in wanted if column not in predictions[0]]
    if absent:
        return problems + [f"{arguments.predictions}: no column {', '.join(absent)}"]

    long_texts = json.loads((arguments.run / "tokenizer_config.json").read_text(encoding="utf-8")).get("rehead_long_text")
    largest, largest_at = 0.0, None
    for number, (row, predicted) in enumerate(zip(data, predictions), start=1):
        if any(predicted.get(column) != value for column, value in row.items()):
            problems.append(f"row {number}: the input columns have changed")
            continue
        # As a batch of one: for two plain strings, transformers treats an empty second text as missing.
        texts = [[row[column]] for column in columns]
        with torch.inference_mode():
            logits = [model(**part).logits[0] for part in parts(tokenizer, texts, max_length, long_texts)]
        logits = torch.stack(logits)
        pooled = logits.max(0).values if long_texts and long_texts.get("pooling") == "max" else logits.mean(0)
        probabilities = (pooled.sigmoid() if several else pooled.softmax(-1)).tolist()
        differences = [abs(float(predicted[f"p_{label}"]) - p) for label, p in zip(labels, probabilities)]
        best, *others = sorted(probabilities, reverse=True)
        if not several:
            differences.append(abs(float(predicted["confidence"]) - best))
        if max(differences) > largest:
            largest, largest_at = max(differences), number
        if not max(differences) <= arguments.tolerance:
            problems.append(f"row {number}: probabilities differ by {max(differences):.3e}")
        if several:
            # As the model card says.
            thresholds = model.config.label_thresholds
            given = [label for label, p in zip(thresholds, probabilities) if p >= thresholds[label]]
            near = any(abs(p - thresholds[label]) < arguments.tolerance for label, p in zip(thresholds, probabilities))
            if predicted["predicted_labels"] != "|".join(given) and not near:
                problems.append(f"row {number}: labels {predicted['predicted_labels']!r}, transformers says {given!r}")
            continue
        label = labels[probabilities.index(best)]
        # If two probabilities are equal within the tolerance, either label is right.
        if predicted["predicted_label"] != label and (not others or best - others[0] > arguments.tolerance):
            problems.append(f"row {number}: label {predicted['predicted_label']!r}, transformers says {label!r}")

    if not long_texts:
        problems += check_pipeline(model, tokenizer, data, columns, max_length, arguments)
    where = "" if largest_at is None else f", row {largest_at}"
    print(
        f"{arguments.run}: {len(data)} rows, largest difference {largest:.3e}{where} "
        f"(transformers {transformers.__version__})"
    )
    return problems


def parts(tokenizer, texts, max_length, long_texts):
    """What the network is given of a text, or of a pair: one part, or the windows that `--long-text windows` makes."""
    if not long_texts:
        return [tokenizer(*texts, truncation=True, max_length=max_length, return_tensors="pt")]
    whole = tokenizer(*texts, return_tensors="pt")
    room = max_length - tokenizer.num_special_tokens_to_add(pair=len(texts) == 2)
    if whole["input_ids"].shape[1] <= max_length:
        return [whole]
    if long_texts["read"] == "head-tail":
        assert len(texts) == 1
        head = 1 + (room * 128 + 255) // 510
        tail = max_length - head
        return [{name: torch.cat([v[:, :head], v[:, -tail:]], 1) for name, v in whole.items()}]
    lengths = [len(tokenizer(text[0], add_special_tokens=False)["input_ids"]) for text in texts]
    divided = "only_second" if len(texts) == 2 and lengths[1] >= lengths[0] else "only_first"
    assert len(texts) == 1 or min(lengths) <= room // 2, "both texts are long"
    found = tokenizer(
        *texts, truncation=divided, max_length=max_length, stride=long_texts["stride"], return_overflowing_tokens=True
    )
    names = [name for name in tokenizer.model_input_names if name in found]
    count = len(found["input_ids"])
    assert count > 1
    return [{name: torch.tensor([found[name][part]]) for name in names} for part in range(count)]


def check_numbers(model, tokenizer, data, predictions, columns, max_length, arguments):
    """Checks the numbers of a regression, relative to their size."""
    problems, largest = [], 0.0
    for number, (row, predicted) in enumerate(zip(data, predictions), start=1):
        inputs = tokenizer(*[[row[c]] for c in columns], truncation=True, max_length=max_length, return_tensors="pt")
        with torch.inference_mode():
            logits = model(**inputs).logits[0].tolist()
        if len(logits) != 1:
            return [f"{arguments.run}: {len(logits)} numbers a row"]
        difference = abs(float(predicted["predicted_score"]) - logits[0]) / max(1.0, abs(logits[0]))
        largest = max(largest, difference)
        if not difference <= arguments.tolerance:
            problems.append(f"row {number}: {predicted['predicted_score']} where transformers gives {logits[0]}")
    print(f"{arguments.run}: {len(data)} rows, largest relative difference {largest:.3e}")
    return problems


def check_pipeline(model, tokenizer, data, columns, max_length, arguments):
    """Checks that the pipeline loads the run by its path, and that its padded batches give the same as single texts."""
    classify = pipeline(
        "text-classification", model=str(arguments.run), dtype=torch.float32, device="cpu",
        trust_remote_code=arguments.trust_remote_code,
    )
    rows = data[:32]
    inputs = [row[columns[0]] for row in rows]
    if len(columns) == 2:
        inputs = [{"text": row[columns[0]], "text_pair": row[columns[1]]} for row in rows if row[columns[1]]]
        rows = [row for row in rows if row[columns[1]]]
    if not inputs:
        return []
    results = classify(inputs, batch_size=1 if arguments.alone else 8, truncation=True, max_length=max_length)
    problems = []
    for row, result in zip(rows, results):
        alone = tokenizer(*[[row[c]] for c in columns], truncation=True, max_length=max_length, return_tensors="pt")
        with torch.inference_mode():
            logits = model(**alone).logits[0]
        several = model.config.problem_type == "multi_label_classification"
        probability = (logits.sigmoid() if several else logits.softmax(-1)).max().item()
        if abs(probability - result["score"]) > arguments.tolerance:
            problems.append(f"the pipeline gives {result['score']:.6f} where one text alone gives {probability:.6f}")
    return problems


def read(file):
    # A field may be longer than csv's limit of 128 KiB.
    csv.field_size_limit(2**31 - 1)
    with open(file, encoding="utf-8-sig", newline="") as handle:
        return list(csv.DictReader(handle))


if __name__ == "__main__":
    main()
