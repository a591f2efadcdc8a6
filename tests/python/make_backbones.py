"""Writes checkpoints of convolutional networks of torchvision, timm and transformers with random weights, and the
results that these libraries compute.

    make_backbones.py DIRECTORY

Each folder holds one case: config.json and model.safetensors as the library writes them, and expected.safetensors. The
latter holds `pixels`, `targets`, and `logits` in evaluation mode; and of one pass in training mode (without dropout, in
fp64 if there are norms) `training.logits`, `gradient.NAME` of the cross-entropy for every parameter, and `after.NAME`
for every running statistic. NAME is timm's. Of a large gradient only every n-th number is kept.
"""
import json
import re
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

torch.set_num_threads(1)
for name in ["kaiming_uniform_", "kaiming_normal_", "normal_", "uniform_", "trunc_normal_", "xavier_uniform_"]:
    # `fill` draws all weights, so the libraries' own initialisation, which takes most of the time, is switched off.
    setattr(torch.nn.init, name, lambda tensor, *_, **__: tensor)

import timm
import timm.models.inception_v3
import torchvision
from transformers import (
    EfficientNetConfig,
    EfficientNetForImageClassification,
    ResNetConfig,
    ResNetForImageClassification,
)

timm.models.inception_v3.trunc_normal_ = torch.nn.init.trunc_normal_

KEPT = 50_000
CLASSES = 5
LABELS = ["ant", "bee", "café", "dog", "eel"]


def fill(model, seed):
    """Draws weights and running statistics. Large tensors are rounded to bfloat16, in which they are saved.

    Norms shift by about one, so that most ReLUs are open. Otherwise a training pass through many norms over few values
    amplifies rounding errors: in torch itself, in fp32, the memory order of the numbers changes Inception's logits by
    5e-4.
    """
    norms = {name.removesuffix("running_mean") for name in model.state_dict() if name.endswith("running_mean")}
    generator = torch.Generator().manual_seed(seed)
    normal = lambda like: torch.empty(like.shape).normal_(generator=generator)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("num_batches_tracked"):
                tensor.fill_(7)
            elif name.endswith("running_var") or (tensor.dim() == 1 and name.endswith("weight")):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
            elif tensor.dim() == 1:
                shift = 1.0 if name.removesuffix("bias") in norms else 0.0
                tensor.copy_(shift + 0.2 * normal(tensor))
            else:
                fan = tensor[0].numel()
                values = normal(tensor) * (2 / fan) ** 0.5
                tensor.copy_(values.bfloat16() if large(tensor) else values)


def calibrate(model, pixels, seed):
    """Sets running statistics near those of `pixels`, and dropout to nothing.

    In an EfficientNet with arbitrary ones the activations grow from block to block, and squeeze-and-excitation then
    amplifies rounding: in torch itself fp32 and fp64 differ by a tenth.
    """
    generator = torch.Generator().manual_seed(seed)
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    without_dropout(model.train())
    with torch.no_grad():
        model(pixels)
        for norm, momentum in zip(norms, momenta):
            norm.momentum = momentum
            shift = torch.empty_like(norm.running_mean).normal_(generator=generator)
            norm.running_mean += 0.2 * norm.running_var.sqrt() * shift
            norm.running_var *= 0.5 + torch.rand(norm.running_var.shape, generator=generator)
            norm.num_batches_tracked.fill_(7)


def without_dropout(model):
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


def large(tensor):
    return tensor.numel() > 1_000_000


def sampled(tensor):
    flat = tensor.detach().reshape(-1).float()
    return flat[:: flat.numel() // KEPT + 1].clone()


def timm_name_of(name):
    """timm's name for a tensor of torchvision's VGG or transformers' ResNet."""
    for theirs, timms in [("classifier.0.", "pre_logits.fc1."), ("classifier.3.", "pre_logits.fc2."),
                          ("classifier.6.", "head.fc."), ("classifier.1.", "fc.")]:
        name = name.replace(theirs, timms)
    number = lambda text: int(text) + 1
    kinds = {"convolution": "conv", "normalization": "bn"}
    name = re.sub(r"^resnet\.embedder\.embedder\.(\w+)", lambda m: f"{kinds[m[1]]}1", name)
    name = re.sub(r"^resnet\.encoder\.stages\.(\d+)\.layers\.(\d+)\.", lambda m: f"layer{number(m[1])}.{m[2]}.", name)
    name = re.sub(r"\.layer\.(\d+)\.(\w+)", lambda m: f".{kinds[m[2]]}{number(m[1])}", name)
    return name.replace("shortcut.convolution", "downsample.0").replace("shortcut.normalization", "downsample.1")


def twins_names(model, twin):
    """timm's name for each tensor of a model that has those of timm's `twin` in the same order."""
    with torch.device("meta"):
        timms = timm.create_model(twin, num_classes=CLASSES).state_dict()
    state = model.state_dict()
    assert len(state) == len(timms), twin
    for (name, tensor), (timms_name, timms_tensor) in zip(state.items(), timms.items()):
        assert tensor.numel() == timms_tensor.numel(), (name, timms_name)
    return dict(zip(state, timms))


def write(folder, name, model, config, size, images, seed, twin=None):
    timm_name = twins_names(model, twin).get if twin else timm_name_of
    fill(model, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    pixels = torch.randn(images, 3, *size, generator=generator)
    if "efficientnet" in name or "mobilenet" in name:
        calibrate(model, pixels, seed + 2)
    folder = folder / name
    folder.mkdir(parents=True)
    state = model.state_dict()
    stored = {key: (t.bfloat16() if large(t) else t).contiguous() for key, t in state.items()}
    save_file(stored, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    if hasattr(model, "AuxLogits"):
        # The checkpoint holds the auxiliary head, but it is not compared, and it needs larger images.
        model.AuxLogits = None
    targets = torch.arange(images) % CLASSES

    def logits(pixels):
        given = model(pixels)
        given = getattr(given, "logits", given)
        return given[0] if isinstance(given, tuple) else given

    model.eval()
    with torch.no_grad():
        results = {"pixels": pixels, "targets": targets.float(), "logits": logits(pixels)}
        if "vgg16" in name:
            # Images whose feature maps before the fully connected layers are larger than 7 × 7.
            results["large.pixels"] = torch.randn(1, 3, 256, 300, generator=generator)
            results["large.logits"] = logits(results["large.pixels"])
    without_dropout(model.train())
    # In fp64 if there are norms: in fp32 rounding can decide a ReLU or a max pool, and then gradients differ by several
    # percent within torch itself.
    normed = any(key.endswith("running_mean") for key in state)
    if normed:
        model.double()
    output = logits(pixels.double() if normed else pixels)
    torch.nn.functional.cross_entropy(output, targets).backward()
    results["training.logits"] = output.detach().float()
    for key, parameter in model.named_parameters():
        results[f"gradient.{timm_name(key)}"] = sampled(parameter.grad)
    for key, buffer in model.named_buffers():
        results[f"after.{timm_name(key)}"] = buffer.detach().clone().reshape(-1).float()
    save_file({key: tensor.contiguous() for key, tensor in results.items()}, folder / "expected.safetensors")


def main():
    folder = Path(sys.argv[1])
    vision = torchvision.models
    no_dropout = {"drop_rate": 0}

    def from_torchvision(name, size, images, twin=None, norms={}, **arguments):
        model = vision.get_model(name, weights=None, num_classes=CLASSES, **arguments)
        config = {"architecture": twin or name, "model_args": {**no_dropout, **norms}}
        write(folder, f"torchvision-{name}", model, config, size, images, 1, twin)

    from_torchvision("resnet18", (64, 72), 4)
    from_torchvision("resnet50", (64, 64), 4)
    from_torchvision("vgg11", (40, 64), 4)
    from_torchvision("inception_v3", (96, 100), 6, init_weights=False)
    from_torchvision("efficientnet_b0", (64, 80), 4, "efficientnet_b0", stochastic_depth_prob=0.0)
    norms = {"bn_eps": 0.001, "bn_momentum": 0.01}
    from_torchvision("mobilenet_v3_small", (64, 80), 6, "mobilenetv3_small_100", norms)

    def from_timm(case, name, size, images, **arguments):
        model = timm.create_model(name, num_classes=CLASSES, **arguments)
        config = {
            "architecture": name,
            "num_classes": CLASSES,
            "label_names": LABELS,
            "model_args": {**no_dropout, **arguments},
            "pretrained_cfg": {
                "input_size": [3, *size],
                "mean": [0.1, 0.2, 0.3],
                "std": [0.4, 0.5, 0.6],
                "crop_pct": 0.9,
                "interpolation": "bicubic",
                "num_classes": CLASSES,
            },
        }
        write(folder, f"timm-{case}", model, config, size, images, 2)

    from_timm("small", "resnet18", (64, 64), 4, layers=[2, 1, 2, 2], channels=[16, 32, 64, 128])
    from_timm("resnet34", "resnet34", (48, 48), 4)
    from_timm("inception_v3", "inception_v3", (75, 75), 6)
    from_timm("vgg16_bn", "vgg16_bn", (64, 64), 3)
    # Of odd sizes, which TensorFlow's padding divides otherwise.
    from_timm("tf_efficientnetv2_b0", "tf_efficientnetv2_b0", (67, 72), 4)
    from_timm("tf_mobilenetv3", "tf_mobilenetv3_small_075", (67, 90), 6)
    from_timm("mobilenetv3_small_050", "mobilenetv3_small_050", (64, 64), 6)

    def from_transformers(case, **arguments):
        config = ResNetConfig(num_labels=CLASSES, id2label=dict(enumerate(LABELS)), **arguments)
        write(folder, f"transformers-{case}", ResNetForImageClassification(config), config.to_dict(), (64, 64), 4, 3)

    from_transformers("basic", layer_type="basic", depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512])
    config = EfficientNetConfig(
        num_labels=CLASSES, id2label=dict(enumerate(LABELS)), width_coefficient=1.0, depth_coefficient=1.0,
        hidden_dim=1280, image_size=72, depthwise_padding=[5, 11], batch_norm_momentum=0.1, dropout_rate=0.0,
        drop_connect_rate=0.0,
    )
    model = EfficientNetForImageClassification(config)
    write(folder, "transformers-efficientnet", model, config.to_dict(), (72, 72), 4, 3, "tf_efficientnet_b0")

    from_transformers("bottleneck", depths=[2, 1, 1, 2], hidden_sizes=[64, 128, 256, 512])


main()
