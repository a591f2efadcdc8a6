"""Checks that Python's transformers reads the tokenizers that rehead saves for models with one segment.

Usage: python check_tokenizers.py FOLDER...

Each FOLDER holds a saved tokenizer and expected.json (tests/fixtures/make_tokenizers.py). AutoTokenizer must load it
without options, truncate at the length it was saved with, give the same token ids and no segment ids, and pad.
"""

import json
import sys
from pathlib import Path

from transformers import AutoTokenizer


def check(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    examples = json.loads((folder / "expected.json").read_text(encoding="utf-8"))[str(tokenizer.model_max_length)]
    for example in examples:
        text = example["text"]
        texts = [[part] for part in text] if isinstance(text, list) else [[text]]
        found = tokenizer(*texts, truncation=True)
        assert found["input_ids"][0] == example["input_ids"], (folder.name, text, found["input_ids"][0])
        assert "token_type_ids" not in found, folder.name
    padded = tokenizer(["good", "it was a good film"], padding=True)["input_ids"]
    end = 0 if tokenizer.padding_side == "left" else -1
    assert padded[0][end] == tokenizer.pad_token_id, folder.name
    print(f"{folder.name}: {type(tokenizer).__name__}, {len(examples)} examples")


for folder in sys.argv[1:]:
    check(Path(folder))
