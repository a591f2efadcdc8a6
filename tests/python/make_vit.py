"""Writes small Vision Transformers of transformers and timm with random weights, and the results that they compute.

python make_vit.py DIRECTORY

Each folder in DIRECTORY is a checkpoint as the library writes it. Unless rehead must refuse it, it also holds
expected.safetensors: `pixels` [N, 3, H, W], `labels` [N] (as fp32), `logits` in evaluation mode, `features` (the class
token after the last norm), `mean` (over the patches), and for every parameter `gradient.NAME` of the mean cross-entropy
in training mode, by transformers' names.
"""

import json
import sys
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file, save_file
from timm.models import save_for_hf
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor, ViTModel

SIZES = dict(
    hidden_size=64, num_hidden_layers=3, num_attention_heads=4, intermediate_size=128, image_size=48, patch_size=16
)
NAMES = [f"class {index}" for index in range(5)]

# The names of transformers 5's modules in memory, and in its checkpoints.
MODERN = {
    "attention.q_proj": "attention.attention.query",
    "attention.k_proj": "attention.attention.key",
    "attention.v_proj": "attention.attention.value",
    "attention.o_proj": "attention.output.dense",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
    "vit.layers.": "vit.encoder.layer.",
}
# timm's names for the modules of a block, and transformers' names.
BLOCK = {
    "norm1": "layernorm_before",
    "attn.proj": "attention.output.dense",
    "norm2": "layernorm_after",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}
OTHERS = {
    "cls_token": "vit.embeddings.cls_token",
    "pos_embed": "vit.embeddings.position_embeddings",
    "patch_embed.proj.weight": "vit.embeddings.patch_embeddings.projection.weight",
    "patch_embed.proj.bias": "vit.embeddings.patch_embeddings.projection.bias",
    "norm.weight": "vit.layernorm.weight",
    "norm.bias": "vit.layernorm.bias",
    "head.weight": "classifier.weight",
    "head.bias": "classifier.bias",
}


def stir(model):
    """Draws random weights, so that no parameter is all zeros or all ones."""
    with torch.no_grad():
        for parameter in model.parameters():
            noise = 0.12 * torch.randn_like(parameter)
            parameter.copy_(noise + (1.0 if parameter.ndim == 1 and parameter.mean() > 0.5 else 0.0))
    return model


def images(side):
    return torch.randn(5, 3, side, side), torch.tensor([0, 3, 1, 4, 3])


def inner_name(name):
    """The checkpoint's name for a parameter of transformers 5."""
    for modern, stored in MODERN.items():
        name = name.replace(modern, stored)
    return name


def timm_gradients(name, gradient):
    if name in OTHERS:
        return {OTHERS[name]: gradient}
    _, layer, rest = name.split(".", 2)
    module, kind = rest.rsplit(".", 1)
    layer = f"vit.encoder.layer.{layer}"
    if module == "attn.qkv":
        parts = zip(("query", "key", "value"), gradient.chunk(3))
        return {f"{layer}.attention.attention.{part}.{kind}": rows for part, rows in parts}
    return {f"{layer}.{BLOCK[module]}.{kind}": gradient}


def expect(directory, tensors):
    stored = {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}
    save_file(stored, directory / "expected.safetensors")


def of_transformers(directory, side=48, change=None, interpolate=False, **settings):
    config = ViTConfig(**{**SIZES, **settings}, id2label=dict(enumerate(NAMES)))
    model = stir(ViTForImageClassification._from_config(config, attn_implementation="eager"))
    model.save_pretrained(directory)
    ViTImageProcessor(size={"height": side, "width": side}).save_pretrained(directory)
    pixels, labels = images(side)
    given = {"pixel_values": pixels, "interpolate_pos_encoding": interpolate}
    hidden = model.eval().vit(**given).last_hidden_state
    result = {"pixels": pixels, "labels": labels.float(), "logits": model(**given).logits}
    result |= {"features": hidden[:, 0], "mean": hidden[:, 1:].mean(dim=1)}
    if settings.get("hidden_dropout_prob", 0) == 0:
        torch.nn.functional.cross_entropy(model.train()(**given).logits, labels).backward()
        for name, parameter in model.named_parameters():
            # rehead interpolates the position embeddings once, when it loads them, so the originals have no gradient.
            if not (interpolate and name.endswith("position_embeddings")):
                result[f"gradient.{inner_name(name)}"] = parameter.grad
    expect(directory, result)
    if change:
        change(directory)


def bare(directory):
    """Saves the backbone alone, with its pooler and without the prefix."""
    model = stir(ViTModel(ViTConfig(**SIZES)))
    model.save_pretrained(directory)
    pixels, labels = images(48)
    hidden = model.eval()(pixels).last_hidden_state
    features = {"features": hidden[:, 0], "mean": hidden[:, 1:].mean(dim=1)}
    expect(directory, {"pixels": pixels, "labels": labels.float()} | features)


def with_modern_names(directory):
    """Renames the saved tensors to the names that transformers 5 uses in memory."""
    file = directory / "model.safetensors"
    renamed = {}
    for name, tensor in load_file(file).items():
        for modern, stored in MODERN.items():
            name = name.replace(stored, modern)
        renamed[name] = tensor
    save_file(renamed, file, metadata={"format": "pt"})


def timm_model(architecture, **settings):
    settings = {"embed_dim": 64, "depth": 3, "num_heads": 4, "img_size": 48, "num_classes": 5} | settings
    return stir(timm.create_model(architecture, **settings)), settings


def save_timm(directory, model, arguments, label_names=None):
    config = {"label_names": label_names} if label_names else {}
    save_for_hf(model, directory, model_config=config, model_args=arguments, safe_serialization=True)


def of_timm(directory, architecture, side=48, label_names=None, **settings):
    model, arguments = timm_model(architecture, **settings)
    save_timm(directory, model, arguments, label_names)
    if side != 48:
        # The checkpoint keeps its image size; the model that computes the results takes images of another size.
        arguments = arguments | {"img_size": side}
        larger = timm.create_model(architecture, **arguments)
        state = timm.models.vision_transformer.checkpoint_filter_fn(model.state_dict(), larger)
        larger.load_state_dict(state)
        model = larger
        (directory / "preprocessor_config.json").write_text(json.dumps({"size": {"height": side, "width": side}}))
    pixels, labels = images(side)
    hidden = model.eval().forward_features(pixels)
    result = {"pixels": pixels, "labels": labels.float(), "logits": model(pixels)}
    result |= {"features": hidden[:, 0], "mean": hidden[:, 1:].mean(dim=1)}
    torch.nn.functional.cross_entropy(model.train()(pixels), labels).backward()
    for name, parameter in model.named_parameters():
        for here, gradient in timm_gradients(name, parameter.grad).items():
            result[f"gradient.{here}"] = gradient
    expect(directory, result)


def refused(directory, architecture, **settings):
    model, arguments = timm_model(architecture, **settings)
    save_timm(directory, model, arguments)


def main():
    root = Path(sys.argv[1])
    torch.manual_seed(3)
    torch.set_num_threads(1)

    def into(name):
        directory = root / name
        directory.mkdir(parents=True)
        return directory

    of_transformers(into("plain"))
    of_transformers(into("odd"), qkv_bias=False, hidden_act="gelu_new", layer_norm_eps=1e-5)
    of_transformers(into("relu"), hidden_act="relu", num_attention_heads=8, patch_size=8)
    of_transformers(into("dropping"), hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1)
    of_transformers(into("modern"), change=with_modern_names)
    of_transformers(into("larger"), side=64, interpolate=True)
    of_transformers(into("smaller"), side=32, interpolate=True)
    bare(into("bare"))
    of_timm(into("timm"), "vit_small_patch16_224", label_names=NAMES)
    of_timm(into("timm_odd"), "vit_tiny_patch16_224", qkv_bias=False, act_layer="gelu_tanh", num_heads=2, mlp_ratio=3)
    of_timm(into("timm_larger"), "vit_base_patch16_224", side=80)
    of_timm(into("timm_deit"), "deit_tiny_patch16_224")

    refused(into("refused_registers"), "vit_small_patch16_224", reg_tokens=2)
    refused(into("refused_scale"), "vit_small_patch16_224", init_values=0.1)
    refused(into("refused_normalised"), "vit_small_patch16_224", qk_norm=True)
    refused(into("refused_mean"), "vit_small_patch16_224", global_pool="avg")
    refused(into("refused_classless"), "vit_small_patch16_224", class_token=False, global_pool="avg", fc_norm=False)
    refused(into("refused_distilled"), "deit_tiny_distilled_patch16_224")
    refused(into("refused_activation"), "vit_small_patch16_224", act_layer="quick_gelu")
    refused(into("refused_clip"), "vit_base_patch16_clip_224")


if __name__ == "__main__":
    main()
