"""Saves the weights of a model directory as PyTorch does.

    make_pytorch_models.py MODEL FOLDER

Makes FOLDER/zip, FOLDER/legacy and FOLDER/sharded from MODEL/model.safetensors, with the other files copied.
"""
import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

model, folder = Path(sys.argv[1]), Path(sys.argv[2])
weights = load_file(model / "model.safetensors")
names = sorted(weights)
for kind in ["zip", "legacy", "sharded"]:
    target = folder / kind
    shutil.copytree(model, target)
    (target / "model.safetensors").unlink()
    if kind != "sharded":
        torch.save(weights, target / "pytorch_model.bin", _use_new_zipfile_serialization=kind == "zip")
        continue
    index = {}
    for number, part in enumerate([names[::2], names[1::2]], 1):
        file = f"pytorch_model-0000{number}-of-00002.bin"
        torch.save({name: weights[name] for name in part}, target / file)
        index.update(dict.fromkeys(part, file))
    (target / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": index}))
