"""Checks that transformers gives the probabilities that rehead has written.

Usage: python check_labels.py FOLDER...

Each FOLDER holds a model, in.csv (columns text, or text_a and text_b) and out.csv (written with --probabilities). The
tokenizer is what AutoTokenizer makes of the folder's files, without options.
"""

import csv
import sys
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer

transformers.logging.set_verbosity_error()


def rows(file):
    with open(file, newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def check(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval().float()
    length = min(512, tokenizer.model_max_length, model.config.max_position_embeddings)
    names = [model.config.id2label[index] for index in range(model.config.num_labels)]
    worst = 0.0
    for row, ours in zip(rows(folder / "in.csv"), rows(folder / "out.csv"), strict=True):
        texts = [row["text"]] if "text" in row else [row["text_a"], row["text_b"]]
        tokens = tokenizer(*texts, truncation=True, max_length=length, return_tensors="pt")
        with torch.no_grad():
            theirs = model(**tokens).logits.softmax(-1)[0].tolist()
        difference = max(abs(float(ours[f"p_{name}"]) - p) for name, p in zip(names, theirs))
        shown = tokenizer.convert_ids_to_tokens(tokens["input_ids"][0])
        assert difference < 1e-5, (folder.name, texts, difference, shown)
        worst = max(worst, difference)
    print(f"{folder.name}: {type(tokenizer).__name__}, {worst:.1e}")


for folder in sys.argv[1:]:
    check(Path(folder))
