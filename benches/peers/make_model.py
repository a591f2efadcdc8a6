"""Saves a BERT with random weights and the tokenizer of another model.

python make_model.py --kind base --tokenizer DIR --out DIR

base  a backbone without a head, of BERT-base's size (12 layers, hidden size 768)
tiny  a classifier with one layer and hidden size 32, so small that the costs outside the network show
"""

import argparse
import shutil
from pathlib import Path

import common
import torch
from transformers import BertConfig, BertForSequenceClassification, BertModel

KINDS = {
    "base": (BertModel, {}),
    "tiny": (
        BertForSequenceClassification,
        {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64, "num_labels": 2},
    ),
}
TOKENIZER = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=list(KINDS), required=True)
    parser.add_argument("--tokenizer", type=Path, required=True, help="model directory")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()
    common.quiet()
    torch.manual_seed(arguments.seed)
    architecture, sizes = KINDS[arguments.kind]
    architecture(BertConfig(**sizes)).save_pretrained(arguments.out)
    for name in TOKENIZER:
        if (arguments.tokenizer / name).exists():
            shutil.copy(arguments.tokenizer / name, arguments.out / name)


if __name__ == "__main__":
    main()
