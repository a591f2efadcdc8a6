"""Checks that timm and transformers load the runs that rehead saves, and compute the same logits.

    check_backbones.py RUN [RUN …]

RUN is a saved directory. Beside it lies RUN.check, a safetensors file with `pixels` and `logits`.
"""
import json
import sys

import torch
from safetensors.torch import load_file

torch.set_num_threads(1)
for name in ["kaiming_uniform_", "kaiming_normal_", "normal_", "uniform_", "trunc_normal_"]:
    setattr(torch.nn.init, name, lambda tensor, *_, **__: tensor)

import timm
import timm.models.inception_v3
from transformers import AutoModelForImageClassification

timm.models.inception_v3.trunc_normal_ = torch.nn.init.trunc_normal_


def main():
    for run in sys.argv[1:]:
        check = load_file(f"{run}.check")
        # With pretrained=True timm 1.0.22 hands a folder's safetensors file to torch.load, which refuses it.
        model = timm.create_model(f"local-dir:{run}", checkpoint_path=f"{run}/model.safetensors").eval()
        models = [("timm", model)]
        labels = list(model.pretrained_cfg["label_names"])
        assert labels, run
        if "vgg" not in run:
            wrapped = AutoModelForImageClassification.from_pretrained(run).eval()
            assert [wrapped.config.id2label[index] for index in range(len(labels))] == labels, wrapped.config.id2label
            models.append(("transformers", wrapped))
        for library, loaded in models:
            with torch.no_grad():
                logits = loaded(check["pixels"])
            logits = getattr(logits, "logits", logits)
            difference = ((logits - check["logits"]).abs().max() / check["logits"].abs().max()).item()
            print(f"{run} in {library}: {difference:.2e}")
            assert difference < 1e-5, f"{run} in {library}: {difference}"
        config = json.load(open(f"{run}/config.json"))["pretrained_cfg"]
        data = timm.data.resolve_data_config({}, model=model)
        for key in ["mean", "std", "input_size", "interpolation", "crop_pct"]:
            plain = list(data[key]) if isinstance(data[key], tuple) else data[key]
            assert plain == config[key], (run, key, data)


main()
