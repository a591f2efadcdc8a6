"""Writes small ConvNeXts of transformers and timm with random weights, and the results that they compute.

python make_hierarchical.py DIRECTORY

Each folder in DIRECTORY is a checkpoint as the library writes it, with expected.safetensors: `pixels` [N, 3, H, W],
`labels` [N] (as fp32), `logits` in evaluation mode, `features` (what the classifier reads), and for every parameter
`gradient.NAME` of the mean cross-entropy in training mode, by the names that transformers stores.
"""

import re
import sys
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file
from timm.models import save_for_hf
from transformers import (
    ConvNextConfig,
    ConvNextForImageClassification,
    ConvNextImageProcessor,
    ConvNextModel,
    ConvNextV2Config,
    ConvNextV2ForImageClassification,
)

NAMES = [f"class {index}" for index in range(5)]
LABELS = [0, 3, 1, 4, 3]

# timm's names, and those that transformers stores.
CONVNEXT = [
    (r"^stem\.0\.", "embeddings.patch_embeddings."),
    (r"^stem\.1\.", "embeddings.layernorm."),
    (r"^stages\.(\d+)\.downsample\.", r"encoder.stages.\1.downsampling_layer."),
    (r"^stages\.(\d+)\.blocks\.(\d+)\.", r"encoder.stages.\1.layers.\2."),
    (r"\.conv_dw\.", ".dwconv."),
    (r"\.norm\.", ".layernorm."),
    (r"\.mlp\.fc", ".pwconv"),
    (r"\.mlp\.grn\.", ".grn."),
    (r"\.gamma$", ".layer_scale_parameter"),
    (r"^head\.layernorm\.", "layernorm."),
    (r"^head\.fc\.", "classifier."),
]


def stir(model):
    """Draws random weights, so that no parameter is all zeros or all ones."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn_like(parameter)
            if parameter.squeeze().ndim > 1:
                parameter.copy_(noise * (2 / parameter[0].numel()) ** 0.5)
            elif name.endswith("bias"):
                parameter.copy_(0.2 * noise)
            else:
                parameter.copy_(1 + 0.3 * noise)
    return model


def stored_names(names, prefix, name):
    for theirs, ours in names:
        name = re.sub(theirs, ours, name)
    return name if name.startswith("classifier.") else f"{prefix}.{name}"


def expect(directory, model, side, features, named):
    """Runs the model; `features` gives what its classifier reads, `named` a stored name, and the gradient under it."""
    pixels, labels = torch.randn(len(LABELS), 3, *side), torch.tensor(LABELS)
    logits = lambda: getattr(out := model(pixels), "logits", out)
    with torch.no_grad():
        result = {"pixels": pixels, "labels": labels.float(), "features": features(model.eval(), pixels)}
        result["logits"] = logits()
    torch.nn.functional.cross_entropy(logits(), labels).backward()
    for name, parameter in model.named_parameters():
        for stored, gradient in named(name, parameter.grad).items():
            result[f"gradient.{stored}"] = gradient
    save_file({name: tensor.detach().contiguous().clone() for name, tensor in result.items()},
              directory / "expected.safetensors")


def of_transformers(directory, kind, config, side, processor):
    model = stir(kind._from_config(config, attn_implementation="eager"))
    model.save_pretrained(directory)
    processor.save_pretrained(directory)
    features = lambda model, pixels: model.base_model(pixels).pooler_output
    expect(directory, model, side, features, lambda name, gradient: {name: gradient})


def of_timm(directory, prefix, names, architecture, side, **settings):
    model = stir(timm.create_model(architecture, num_classes=5, **settings))
    config = {"label_names": NAMES}
    save_for_hf(model, directory, model_config=config, model_args=settings, safe_serialization=True)
    features = lambda model, pixels: model.forward_head(model.forward_features(pixels), pre_logits=True)

    def named(name, gradient):
        name = stored_names(names, prefix, name)
        shape = [1, 1, 1, -1] if ".grn." in name else gradient.squeeze().shape
        return {name: gradient.reshape(shape) if ".pwconv" in name or ".grn." in name else gradient}

    expect(directory, model, side, features, named)


def main():
    root = Path(sys.argv[1])
    torch.manual_seed(3)
    torch.set_num_threads(1)

    def into(name):
        directory = root / name
        directory.mkdir(parents=True)
        return directory

    labels = dict(num_labels=5, id2label=dict(enumerate(NAMES)))
    small = dict(depths=[2, 1, 2], hidden_sizes=[16, 24, 32], num_stages=3, **labels)
    crop = ConvNextImageProcessor(size={"shortest_edge": 48}, crop_pct=0.9)
    of_transformers(into("convnext"), ConvNextForImageClassification, ConvNextConfig(**small), (48, 48), crop)
    odd = dict(patch_size=3, hidden_act="gelu_new", layer_scale_init_value=0.0, layer_norm_eps=1e-3)
    odd = ConvNextConfig(**small | odd)
    of_transformers(into("convnext_odd"), ConvNextForImageClassification, odd, (43, 58), crop)
    second = ConvNextV2Config(**small)
    of_transformers(into("convnextv2"), ConvNextV2ForImageClassification, second, (48, 48), crop)
    stir(ConvNextModel(ConvNextConfig(**small))).save_pretrained(into("convnext_bare"))

    sizes = dict(depths=[1, 2, 1, 1], dims=[16, 24, 32, 40])
    of_timm(into("timm_convnext"), "convnext", CONVNEXT, "convnext_tiny", (64, 64), **sizes)
    relu = dict(conv_mlp=True, act_layer="relu")
    of_timm(into("timm_convnext_conv"), "convnext", CONVNEXT, "convnext_atto", (70, 50), **sizes, **relu)
    tanh = dict(act_layer="gelu_tanh", conv_mlp=True)
    of_timm(into("timm_convnextv2"), "convnextv2", CONVNEXT, "convnextv2_atto", (32, 32), **sizes, **tanh)


if __name__ == "__main__":
    main()
