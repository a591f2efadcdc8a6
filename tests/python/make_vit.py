"""Writes small Vision Transformers of transformers and timm with random weights, and the results that they compute.

python make_vit.py DIRECTORY

Each folder in DIRECTORY is a checkpoint as the library writes it: a ViT, a DINOv2 or a CLIP's vision tower. Unless
rehead must refuse it, it also holds expected.safetensors: `pixels` [N, 3, H, W], `labels` [N] (as fp32), `logits` in
evaluation mode, `features` (the class token after the last norm), `mean` (over the patches), and for every parameter
`gradient.NAME` of the mean cross-entropy in training mode, by transformers' names.
"""

import json
import sys
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file, save_file
from timm.models import save_for_hf
from transformers import (
    CLIPConfig,
    CLIPForImageClassification,
    CLIPImageProcessor,
    CLIPModel,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2ForImageClassification,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersForImageClassification,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
    ViTModel,
)

SIZES = dict(
    hidden_size=64, num_hidden_layers=3, num_attention_heads=4, intermediate_size=128, image_size=48, patch_size=16
)
DINOV2_SIZES = dict(
    hidden_size=64, num_hidden_layers=3, num_attention_heads=4, mlp_ratio=2, image_size=42, patch_size=14
)
# A tower with projections as CLIP's has them.
CLIP_SIZES = dict(
    hidden_size=64, intermediate_size=128, num_hidden_layers=3, num_attention_heads=4, image_size=48, patch_size=16
)
TEXT_SIZES = dict(vocab_size=9, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
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
# For each layout: what comes before a block's number, timm's names for the modules of a block and transformers' names,
# and the same for the others.
QKV = ["attention.attention.query", "attention.attention.key", "attention.attention.value"]
TARGETS = {
    "vit": dict(
        block="vit.encoder.layer",
        qkv=QKV,
        modules={
            "norm1": "layernorm_before",
            "attn.proj": "attention.output.dense",
            "norm2": "layernorm_after",
            "mlp.fc1": "intermediate.dense",
            "mlp.fc2": "output.dense",
        },
        others={
            "cls_token": "vit.embeddings.cls_token",
            "pos_embed": "vit.embeddings.position_embeddings",
            "patch_embed.proj": "vit.embeddings.patch_embeddings.projection",
            "norm": "vit.layernorm",
            "head": "classifier",
        },
    ),
    "clip": dict(
        block="vision_model.encoder.layers",
        qkv=["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
        modules={
            "norm1": "layer_norm1",
            "attn.proj": "self_attn.out_proj",
            "norm2": "layer_norm2",
            "mlp.fc1": "mlp.fc1",
            "mlp.fc2": "mlp.fc2",
        },
        others={
            "cls_token": "vision_model.embeddings.class_embedding",
            "pos_embed": "vision_model.embeddings.position_embedding.weight",
            "patch_embed.proj": "vision_model.embeddings.patch_embedding",
            "norm_pre": "vision_model.pre_layrnorm",
            "norm": "vision_model.post_layernorm",
            "head": "classifier",
        },
    ),
}


def dinov2_target(prefix, gated=False):
    feed_forward = ["weights_in", "weights_out"] if gated else ["fc1", "fc2"]
    others = {
        timm: name.replace("vit.", f"{prefix}.") for timm, name in TARGETS["vit"]["others"].items()
    } | {"reg_token": f"{prefix}.embeddings.register_tokens"}
    modules = {
        "norm1": "norm1",
        "attn.proj": "attention.output.dense",
        "norm2": "norm2",
        "mlp.fc1": f"mlp.{feed_forward[0]}",
        "mlp.fc2": f"mlp.{feed_forward[1]}",
        "ls1": "layer_scale1",
        "ls2": "layer_scale2",
    }
    return dict(block=f"{prefix}.encoder.layer", qkv=QKV, modules=modules, others=others)


TARGETS["dinov2"] = dinov2_target("dinov2")
TARGETS["swiglu"] = dinov2_target("dinov2", gated=True)
TARGETS["registers"] = dinov2_target("dinov2_with_registers")


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


def timm_gradients(target, name, gradient):
    def renamed(name, table):
        for timm, here in table.items():
            if name == timm or name.startswith(timm + "."):
                return (here + name[len(timm) :]).replace(".gamma", ".lambda1")
        raise KeyError(name)

    if not name.startswith("blocks."):
        return {renamed(name, target["others"]): gradient}
    _, layer, rest = name.split(".", 2)
    module, kind = rest.rsplit(".", 1)
    block = f"{target['block']}.{layer}"
    if module == "attn.qkv":
        return {f"{block}.{part}.{kind}": rows for part, rows in zip(target["qkv"], gradient.chunk(3))}
    return {f"{block}.{renamed(rest, target['modules'])}": gradient}


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


def of_family(directory, model, first_patch=1, size=None):
    """Saves a classifier of another family of transformers and what it computes, for images of `size`."""
    stir(model).save_pretrained(directory)
    side = size or getattr(model.config, "image_size", 48)
    shape = {"height": side, "width": side}
    if isinstance(model, CLIPForImageClassification):
        CLIPImageProcessor(size={"shortest_edge": side}, crop_size=shape).save_pretrained(directory)
    else:
        ViTImageProcessor(size=shape).save_pretrained(directory)
    pixels, labels = images(side)
    backbone = getattr(model, "vision_model", None) or getattr(model, model.base_model_prefix)
    outputs = backbone.eval()(pixels)
    result = {"pixels": pixels, "labels": labels.float(), "logits": model.eval()(pixels).logits}
    result |= {"features": outputs.pooler_output, "mean": outputs.last_hidden_state[:, first_patch:].mean(dim=1)}
    torch.nn.functional.cross_entropy(model.train()(pixels).logits, labels).backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None and not (size and name.endswith("position_embeddings")):
            result[f"gradient.{name}"] = parameter.grad
    expect(directory, result)


def dinov2(**settings):
    config = Dinov2Config(**{**DINOV2_SIZES, **settings}, id2label=dict(enumerate(NAMES)))
    return Dinov2ForImageClassification._from_config(config, attn_implementation="eager")


def dinov2_with_registers(**settings):
    config = Dinov2WithRegistersConfig(**{**DINOV2_SIZES, **settings}, id2label=dict(enumerate(NAMES)))
    return Dinov2WithRegistersForImageClassification._from_config(config, attn_implementation="eager")


def clip_config():
    return CLIPConfig(vision_config=CLIP_SIZES, text_config=TEXT_SIZES, id2label=dict(enumerate(NAMES)))


def bare_family(directory, model, tower):
    """Saves a network without a classifier, and the features of its images' `tower`."""
    stir(model).save_pretrained(directory)
    side = tower.config.image_size
    if hasattr(model, "visual_projection"):
        shape = {"height": side, "width": side}
        CLIPImageProcessor(size={"shortest_edge": side}, crop_size=shape).save_pretrained(directory)
    else:
        ViTImageProcessor(size={"height": side, "width": side}).save_pretrained(directory)
    pixels, labels = images(side)
    outputs = tower.eval()(pixels)
    features = {"features": outputs.pooler_output, "mean": outputs.last_hidden_state[:, 1:].mean(dim=1)}
    expect(directory, {"pixels": pixels, "labels": labels.float()} | features)


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


def of_timm(directory, architecture, side=48, label_names=None, layout="vit", **settings):
    model, arguments = timm_model(architecture, **settings)
    save_timm(directory, model, arguments, label_names)
    if side != arguments["img_size"]:
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
    result |= {"features": hidden[:, 0], "mean": hidden[:, model.num_prefix_tokens :].mean(dim=1)}
    if layout == "clip":
        # transformers' head for the mean reads what the last norm has not seen.
        norm, model.norm = model.norm, torch.nn.Identity()
        result["mean"] = model.forward_features(pixels)[:, 1:].mean(dim=1)
        model.norm = norm
    torch.nn.functional.cross_entropy(model.train()(pixels), labels).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    if model.no_embed_class:
        # rehead keeps a position of the class token too, to which the token is added.
        gradients["pos_embed"] = torch.cat([gradients["cls_token"], gradients["pos_embed"]], dim=1)
    if layout == "clip":
        gradients |= {"cls_token": gradients["cls_token"].flatten(), "pos_embed": gradients["pos_embed"][0]}
    for name, gradient in gradients.items():
        for here, part in timm_gradients(TARGETS[layout], name, gradient).items():
            result[f"gradient.{here}"] = part
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

    of_family(into("dinov2"), dinov2())
    of_family(into("dinov2_larger"), dinov2(layer_norm_eps=1e-5), size=56)
    of_family(into("dinov2_swiglu"), dinov2(use_swiglu_ffn=True, qkv_bias=False, mlp_ratio=4, use_mask_token=False))
    of_family(into("registers"), dinov2_with_registers(num_register_tokens=3), first_patch=4)
    dinov2(drop_path_rate=0.1).save_pretrained(into("refused_depth"))
    model = Dinov2Model(Dinov2Config(**DINOV2_SIZES))
    bare_family(into("bare_dinov2"), model, model)
    small = dict(img_size=42)
    of_timm(into("timm_dinov2"), "vit_small_patch14_dinov2", side=42, layout="dinov2", **small)
    of_timm(into("timm_registers"), "vit_base_patch14_reg4_dinov2", side=56, layout="registers", **small)
    of_timm(into("timm_giant"), "vit_giant_patch14_dinov2", side=42, layout="swiglu", mlp_ratio=5.5, **small)
    of_timm(into("timm_scale"), "vit_small_patch16_224", init_values=0.1, layout="dinov2")
    of_timm(into("timm_deit3"), "deit3_small_patch16_224", layout="dinov2")
    model, arguments = timm_model("vit_small_patch14_dinov2", num_classes=0, **small)
    save_timm(into("timm_headless"), model, arguments)

    of_family(into("clip"), CLIPForImageClassification._from_config(clip_config(), attn_implementation="eager"))
    model = CLIPModel(clip_config())
    bare_family(into("bare_clip"), model, model.vision_model)
    model = CLIPVisionModel(clip_config().vision_config)
    bare_family(into("bare_tower"), model, model)
    of_timm(into("timm_clip"), "vit_base_patch32_clip_224", layout="clip", patch_size=16)
    of_timm(into("timm_clip_quick"), "vit_base_patch16_clip_quickgelu_224", layout="clip")
    model, arguments = timm_model("vit_base_patch32_clip_224", num_classes=512, patch_size=16)
    projection = into("timm_projection")
    save_timm(projection, model, arguments)
    config = json.loads((projection / "config.json").read_text())
    config["pretrained_cfg"]["tag"] = "openai"
    (projection / "config.json").write_text(json.dumps(config))

    refused(into("refused_registers"), "vit_small_patch16_224", reg_tokens=2)
    refused(into("refused_gap"), "vit_medium_patch16_reg4_gap_256", img_size=32)
    refused(into("refused_normalised"), "vit_small_patch16_224", qk_norm=True)
    refused(into("refused_mean"), "vit_small_patch16_224", global_pool="avg")
    refused(into("refused_classless"), "vit_small_patch16_224", class_token=False, global_pool="avg", fc_norm=False)
    refused(into("refused_distilled"), "deit_tiny_distilled_patch16_224")
    refused(into("refused_activation"), "vit_small_patch16_224", act_layer="leaky_relu")


if __name__ == "__main__":
    main()
