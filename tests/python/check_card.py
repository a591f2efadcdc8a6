"""Reads the model card of a run as the hub does, runs its lines of Python beside the run, and prints the metadata.

Usage: python check_card.py RUN
"""

import json
import os
import re
import sys

from huggingface_hub import ModelCard

run = os.path.abspath(sys.argv[1])
card = ModelCard.load(os.path.join(run, "README.md"))
[result] = [r for r in card.data.eval_results if r.metric_type == "accuracy"]
metadata = {name: value for name, value in card.data.to_dict().items() if name != "model-index"}
metadata |= {"name": card.data.model_name, "dataset": result.dataset_name, "split": result.dataset_split,
             "accuracy": result.metric_value}

os.chdir(os.path.dirname(run))
sys.stdin = open(os.devnull)
code = re.search(r"```python\n(.*?)```", card.text, re.S).group(1)
printed = []
exec(code, {"print": lambda *words: printed.extend(words)})
label, confidence = printed
print(json.dumps({**metadata, "label": label, "confidence": confidence}))
