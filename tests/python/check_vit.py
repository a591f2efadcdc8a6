"""Checks that transformers loads the Vision Transformers that rehead saves, and computes the same logits.

python check_vit.py RUN...

Each RUN holds results.safetensors with `pixels` [N, 3, H, W] and `logits` [N, classes]. Exits with status 1 if logits
differ by more than 1e-4 of the largest, or if the image processor gives images of another size than `pixels`.
"""

import sys

import torch
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModelForImageClassification


def check(run):
    found = load_file(f"{run}/results.safetensors")
    model, loading = AutoModelForImageClassification.from_pretrained(
        run, output_loading_info=True, trust_remote_code=True
    )
    if any(loading[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")):
        sys.exit(f"{run}: not the same tensors: {loading}")
    with torch.no_grad():
        logits = model.eval()(found["pixels"]).logits
    image = torch.zeros(3, 70, 90, dtype=torch.uint8)
    pixels = AutoImageProcessor.from_pretrained(run)(image, return_tensors="pt")["pixel_values"]
    if pixels.shape[1:] != found["pixels"].shape[1:]:
        sys.exit(f"{run}: images become {tuple(pixels.shape)}")
    difference = ((logits - found["logits"]).abs().max() / logits.abs().max()).item()
    print(f"{run}: {type(model).__name__}, logits differ by at most {difference:.2e} of the largest")
    if difference > 1e-4:
        sys.exit(1)


def main():
    torch.set_num_threads(1)
    for run in sys.argv[1:]:
        check(run)


if __name__ == "__main__":
    main()
