"""Exports a classifier from torch as fp32.onnx, and as int8.onnx with dynamic quantisation (weights per channel).

ONNX Runtime's optimizer for BERT (`onnxruntime.transformers.optimizer`) is not used: the operators that it fuses ran
slower than those that the session fuses by itself, in both precisions.

python onnx_export.py --model DIR --out FOLDER
"""

import argparse
from pathlib import Path

import common
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from transformers import AutoModelForSequenceClassification, AutoTokenizer

INPUTS = ["input_ids", "attention_mask", "token_type_ids"]


class Logits(torch.nn.Module):
    """Takes the inputs by position, as the exporter passes them."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).logits


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="directory of a classifier")
    parser.add_argument("--out", required=True, type=Path, help="folder for the two files")
    arguments = parser.parse_args()
    common.quiet()
    arguments.out.mkdir(parents=True, exist_ok=True)
    fp32, int8 = (str(arguments.out / name) for name in ("fp32.onnx", "int8.onnx"))

    model = AutoModelForSequenceClassification.from_pretrained(
        arguments.model, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    example = tokenizer(["two texts", "of unequal length, of which one is padded"], padding=True, return_tensors="pt")
    torch.onnx.export(
        Logits(model),
        tuple(example[name] for name in INPUTS),
        fp32,
        dynamo=False,
        opset_version=17,
        input_names=INPUTS,
        output_names=["logits"],
        dynamic_axes={name: {0: "batch", 1: "length"} for name in INPUTS} | {"logits": {0: "batch"}},
    )
    quantize_dynamic(fp32, int8, weight_type=QuantType.QInt8, per_channel=True)


if __name__ == "__main__":
    main()
