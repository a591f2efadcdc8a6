"""Saves a timm model with random weights to a directory.

python make_image_model.py --architecture resnet18 --out DIR [--size 224]
"""

import argparse
import json
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", required=True)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.manual_seed(0)
    model = timm.create_model(args.architecture, num_classes=10)
    args.out.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, args.out / "model.safetensors")
    cfg = {
        "input_size": [3, args.size, args.size],
        "crop_pct": 0.875,
        "interpolation": "bilinear",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "num_classes": 10,
        "first_conv": model.default_cfg.get("first_conv"),
        "classifier": model.default_cfg.get("classifier"),
    }
    config = {
        "architecture": args.architecture,
        "num_classes": 10,
        "num_features": model.num_features,
        "pretrained_cfg": cfg,
    }
    (args.out / "config.json").write_text(json.dumps(config, indent=2) + "\n")


if __name__ == "__main__":
    main()
