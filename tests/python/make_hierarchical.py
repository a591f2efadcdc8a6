"""Writes small ConvNeXts and Swins of transformers and timm with random weights, and the results that they compute.

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
    SwinConfig,
    SwinForImageClassification,
    SwinModel,
    ViTImageProcessor,
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
SWIN = [
    (r"^patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
    (r"^patch_embed\.norm\.", "embeddings.norm."),
    (r"^layers\.(\d+)\.downsample\.", lambda found: f"encoder.layers.{int(found[1]) - 1}.downsample."),
    (r"^layers\.(\d+)\.blocks\.(\d+)\.", r"encoder.layers.\1.blocks.\2."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.attn\.relative", ".attention.self.relative"),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
    (r"^norm\.", "layernorm."),
    (r"^head\.fc\.", "classifier."),
]
# What transformers calls parts of a Swin in memory, and in files.
IN_MEMORY = [
    (r"\.attention\.q_proj\.", ".attention.self.query."),
    (r"\.attention\.k_proj\.", ".attention.self.key."),
    (r"\.attention\.v_proj\.", ".attention.self.value."),
    (r"\.attention\.o_proj\.", ".attention.output.dense."),
    (r"\.attention\.relative_position_bias\.", ".attention.self."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
]


def stir(model):
    """Draws random weights, so that no parameter is all zeros or all ones."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn_like(parameter)
            if "relative_position" in name:
                parameter.copy_(noise)
            elif parameter.squeeze().ndim > 1:
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

    def named(name, gradient):
        for memory, file in IN_MEMORY:
            name = re.sub(memory, file, name)
        return {name: gradient}

    expect(directory, model, side, features, named)


def of_timm(directory, prefix, names, architecture, side, **settings):
    model = stir(timm.create_model(architecture, num_classes=5, **settings))
    config = {"label_names": NAMES}
    save_for_hf(model, directory, model_config=config, model_args=settings, safe_serialization=True)
    features = lambda model, pixels: model.forward_head(model.forward_features(pixels), pre_logits=True)

    def named(name, gradient):
        if ".qkv." in name:
            stem, field = stored_names(names, prefix, name).split("attn.qkv.")
            parts = zip(("query", "key", "value"), gradient.chunk(3))
            return {f"{stem}attention.self.{part}.{field}": rows for part, rows in parts}
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

    windows = dict(image_size=48, patch_size=2, embed_dim=16, depths=[2, 3], num_heads=[2, 4], window_size=4)
    windows |= dict(drop_path_rate=0.0, **labels)
    squash = ViTImageProcessor(size={"height": 48, "width": 48})
    of_transformers(into("swin"), SwinForImageClassification, SwinConfig(**windows), (48, 48), squash)
    # Maps that are filled up: 17 × 22, 9 × 11 and 5 × 6 places in windows of 3.
    odd = dict(image_size=68, patch_size=4, window_size=3, depths=[2, 2, 2], num_heads=[1, 2, 2], mlp_ratio=2.5)
    odd = SwinConfig(**windows | odd | dict(qkv_bias=False, hidden_act="relu", layer_norm_eps=1e-3))
    of_transformers(into("swin_odd"), SwinForImageClassification, odd, (67, 86), squash)
    dropping = SwinConfig(**windows | dict(hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1))
    stir(SwinModel(dropping)).save_pretrained(into("swin_bare"))
    # One window fills the last map, and is not shifted.
    sizes = dict(img_size=32, embed_dim=16, depths=[2, 2], num_heads=[2, 2], window_size=4)
    of_timm(into("timm_swin"), "swin", SWIN, "swin_tiny_patch4_window7_224", (32, 32), drop_path_rate=0.0, **sizes)


if __name__ == "__main__":
    main()
