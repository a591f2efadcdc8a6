"""Prepares a folder of images with PIL and torchvision's transforms on one thread: decodes them, resizes the shorter
side to 256 pixels and crops the middle 224. Prints the times as JSON."""

import argparse
import io
import json
import os
import pathlib
import time

import torch
from PIL import Image
from torchvision import transforms

EXTENSIONS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", required=True, help="folder")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    paths = sorted(path for path in pathlib.Path(arguments.input).rglob("*") if path.suffix.lower() in EXTENSIONS)
    files = [path.read_bytes() for path in paths]
    prepare = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])

    def run():
        decoding = preparing = 0.0
        for data in files:
            start = time.perf_counter()
            image = Image.open(io.BytesIO(data)).convert("RGB")
            middle = time.perf_counter()
            prepare(image)
            decoding += middle - start
            preparing += time.perf_counter() - middle
        return {"decode": decoding, "prepare": preparing, "both": decoding + preparing}

    run()  # warm-up
    print(json.dumps({"images": len(files), "repeats": [run() for _ in range(arguments.repeats)]}))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
