"""Compares the logits and the gradients of all parameters that rehead computed with those of transformers.

python check_gradients.py RUN RESULTS.safetensors TEXTS.json

TEXTS.json holds {"texts": [...], "labels": [...]}. RESULTS holds `logits`, one row per text, and for every parameter
`gradient.NAME`, the gradient of the mean cross-entropy without dropout. Prints the largest differences, and exits with
status 1 if one is above 1e-4. Gradients are compared relative to the largest entry of the tensor, if that is above 1.
"""

import json
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

LIMIT = 1e-4


def main():
    run, results, texts = sys.argv[1:]
    found = load_file(results)
    with open(texts, encoding="utf-8") as file:
        examples = json.load(file)
    torch.set_num_threads(2)
    tokenizer = AutoTokenizer.from_pretrained(run)
    model = AutoModelForSequenceClassification.from_pretrained(run, attn_implementation="eager").eval()

    rows = [model(**tokenizer([text], truncation=True, return_tensors="pt")).logits for text in examples["texts"]]
    logits = torch.cat(rows)
    torch.nn.functional.cross_entropy(logits, torch.tensor(examples["labels"])).backward()

    worst_logit = (logits - found["logits"]).abs().max().item()
    worst, where = 0.0, ""
    names = {name for name, _ in model.named_parameters()}
    computed = {name.removeprefix("gradient.") for name in found if name.startswith("gradient.")}
    if names != computed:
        sys.exit(f"not the same parameters: {sorted(names ^ computed)}")
    for name, parameter in model.named_parameters():
        scale = max(1.0, parameter.grad.abs().max().item())
        difference = (parameter.grad - found[f"gradient.{name}"]).abs().max().item() / scale
        if difference > worst:
            worst, where = difference, name
    print(f"logits differ by at most {worst_logit:.2e}; {len(names)} gradients by at most {worst:.2e} ({where})")
    if max(worst_logit, worst) > LIMIT:
        sys.exit(1)


if __name__ == "__main__":
    main()
