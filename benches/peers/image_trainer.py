#!/usr/bin/env python3
"""Fine-tunes a timm model on folders of images like timm's and torchvision's own scripts, to compare with rehead.

python image_trainer.py --train DIR --test DIR --model DIR --mode full --json

full    trains all weights on random resized crops and flips; fused AdamW, a linear warm-up, then a linear decay to 0
frozen  trains a new head without augmentation; every epoch passes through the frozen backbone, in evaluation mode

Tensors are channels-last and in bf16 where the hardware supports it; persistent worker processes decode ahead. The
time is that of the epochs, after a few warm-up steps that are undone. The accuracy on the test images is computed
afterwards.
"""

import argparse
import copy
import json
import math
import time
from pathlib import Path

import common
import timm
import torch
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder


def main():
    args = parse()
    torch.manual_seed(args.seed)
    if args.threads:
        torch.set_num_threads(args.threads)
    device = common.device_of(args.device)
    bf16 = args.bf16 == "on" or (args.bf16 == "auto" and common.has_fast_bf16(device))
    train = ImageFolder(args.train)
    config = json.loads((Path(args.model) / "config.json").read_text())
    model = timm.create_model(config["architecture"], num_classes=len(train.classes), **config.get("model_args", {}))
    head = config["pretrained_cfg"]["classifier"]
    weights = load_file(Path(args.model) / "model.safetensors")
    backbone = {name: tensor for name, tensor in weights.items() if not name.startswith(f"{head}.")}
    model.load_state_dict(backbone, strict=False)
    cfg = timm.data.resolve_data_config(config["pretrained_cfg"])
    size = cfg["input_size"][-1]
    normal = [transforms.ToTensor(), transforms.Normalize(cfg["mean"], cfg["std"])]
    shorter_side = math.floor(size / cfg["crop_pct"])
    as_is = transforms.Compose([transforms.Resize(shorter_side), transforms.CenterCrop(size), *normal])
    varied = transforms.Compose([transforms.RandomResizedCrop(size), transforms.RandomHorizontalFlip(), *normal])
    if size < 96:
        shifted = [transforms.RandomCrop(size, padding=size // 8), transforms.RandomHorizontalFlip()]
        varied = transforms.Compose([*as_is.transforms[:2], *shifted, *normal])
    train.transform = varied if args.mode == "full" and not args.plain else as_is
    test = ImageFolder(args.test, as_is)
    loader = lambda data, shuffle: DataLoader(
        data, args.batch_size, shuffle=shuffle, num_workers=args.workers, persistent_workers=args.workers > 0,
        pin_memory=device == "cuda", generator=torch.Generator().manual_seed(args.seed),
    )  # fmt: skip

    model = model.to(device, memory_format=torch.channels_last)
    if args.mode == "frozen":
        model.requires_grad_(False)
        model.get_classifier().requires_grad_(True)
    rate = args.lr or (1e-3 if args.mode == "frozen" else 3e-4)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def fit(batches, epochs, limit=None):
        steps = epochs * len(batches)
        warm = math.ceil(0.1 * steps)
        optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=0.01, fused=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: step / warm if step < warm else (steps - step) / max(1, steps - warm)
        )
        done = 0
        for _ in range(epochs):
            model.train(args.mode != "frozen")
            for pixels, labels in batches:
                pixels = pixels.to(device, memory_format=torch.channels_last, non_blocking=True)
                labels = labels.to(device, non_blocking=True)
                with torch.autocast(device, torch.bfloat16, enabled=bf16):
                    loss = nn.functional.cross_entropy(model(pixels), labels)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(trained, 1.0)
                optimizer.step()
                schedule.step()
                done += 1
                if done == limit:
                    return

    batches = loader(train, True)
    weights = copy.deepcopy(model.state_dict())
    fit(batches, 1, limit=2)
    model.load_state_dict(weights)
    common.synchronize(device)
    start = time.perf_counter()
    fit(batches, args.epochs)
    common.synchronize(device)
    seconds = time.perf_counter() - start

    model.eval()
    right = 0
    with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=bf16):
        for pixels, labels in loader(test, False):
            logits = model(pixels.to(device, memory_format=torch.channels_last))
            right += (logits.argmax(1).cpu() == labels).sum().item()
    result = {
        "peer": "timm and torchvision",
        "mode": args.mode,
        "model": args.model,
        "seed": args.seed,
        "precision": "bf16" if bf16 else "fp32",
        "epochs": args.epochs,
        "train_rows": len(train),
        "train_seconds": round(seconds, 3),
        "images_per_second": round(args.epochs * len(train) / seconds, 1),
        "test_accuracy": right / len(test),
    } | common.surroundings(device)
    result["versions"]["timm"] = timm.__version__
    print(json.dumps(result, indent=2))


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True, help="folder of class folders")
    parser.add_argument("--test", required=True, help="folder of class folders")
    parser.add_argument("--model", required=True, help="directory of a timm model")
    parser.add_argument("--mode", choices=["full", "frozen"], default="full")
    parser.add_argument("--plain", action="store_true", help="no random crops and flips")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--lr", type=float)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--bf16", choices=["auto", "on", "off"], default="auto")
    parser.add_argument("--workers", type=int, default=2, help="processes that load images")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
