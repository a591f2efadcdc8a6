"""DINOv2 whose features are the class token or the mean over the last layer's patches, as rehead trains it.

This file came with the model: transformers loads it with `trust_remote_code=True`.
"""

import torch
from torch import nn
from transformers import (
    Dinov2Model,
    Dinov2PreTrainedModel,
    Dinov2WithRegistersModel,
    Dinov2WithRegistersPreTrainedModel,
)
from transformers.modeling_outputs import ImageClassifierOutput

from .configuration_rehead_dinov2 import ReheadDinov2Config, ReheadDinov2WithRegistersConfig


def classified(model, backbone, first_patch, pixel_values, labels, return_dict, kwargs):
    """Logits `[batch, num_labels]`; with `labels` also the cross-entropy."""
    config = model.config
    if return_dict is None:
        return_dict = getattr(config, "return_dict", True)
    outputs = backbone(pixel_values, **kwargs)
    hidden = outputs.last_hidden_state  # [batch, class token, registers and patches, hidden_size]
    if config.rehead_pooling == "cls":
        features = hidden[:, 0]
    else:
        features = hidden[:, first_patch:].float().mean(dim=1).to(hidden.dtype)
    logits = model.classifier(features)
    loss = None
    if labels is not None:
        loss = nn.functional.cross_entropy(logits, labels.to(logits.device, torch.long))
    if not return_dict:
        return (logits,) if loss is None else (loss, logits)
    return ImageClassifierOutput(
        loss=loss, logits=logits, hidden_states=outputs.hidden_states, attentions=outputs.attentions
    )


class ReheadDinov2ForImageClassification(Dinov2PreTrainedModel):
    """DINOv2, the class token or the mean over the patches (`rehead_pooling`), a linear layer."""

    config_class = ReheadDinov2Config

    def __init__(self, config):
        super().__init__(config)
        self.num_labels = config.num_labels
        self.dinov2 = Dinov2Model(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, pixel_values=None, labels=None, return_dict=None, **kwargs):
        """Logits `[batch, num_labels]`; with `labels` also the cross-entropy."""
        return classified(self, self.dinov2, 1, pixel_values, labels, return_dict, kwargs)


class ReheadDinov2WithRegistersForImageClassification(Dinov2WithRegistersPreTrainedModel):
    """The same with registers, which the mean leaves out."""

    config_class = ReheadDinov2WithRegistersConfig

    def __init__(self, config):
        super().__init__(config)
        self.num_labels = config.num_labels
        self.dinov2_with_registers = Dinov2WithRegistersModel(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, pixel_values=None, labels=None, return_dict=None, **kwargs):
        """Logits `[batch, num_labels]`; with `labels` also the cross-entropy."""
        first_patch = 1 + self.config.num_register_tokens
        return classified(self, self.dinov2_with_registers, first_patch, pixel_values, labels, return_dict, kwargs)
