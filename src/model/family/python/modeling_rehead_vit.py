"""A Vision Transformer whose features are the mean over the last layer's patches, as rehead trains it.

This file came with the model: transformers loads it with `trust_remote_code=True`.
"""

import torch
from torch import nn
from transformers import ViTModel, ViTPreTrainedModel
from transformers.modeling_outputs import ImageClassifierOutput

from .configuration_rehead_vit import ReheadViTConfig


class ReheadViTForImageClassification(ViTPreTrainedModel):
    """ViT, the mean over the tokens of patches (not the class token), a linear layer."""

    config_class = ReheadViTConfig

    def __init__(self, config):
        super().__init__(config)
        self.num_labels = config.num_labels
        self.vit = ViTModel(config, add_pooling_layer=False)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, pixel_values=None, labels=None, return_dict=None, **kwargs):
        """Logits `[batch, num_labels]`; with `labels` also the cross-entropy."""
        if return_dict is None:
            return_dict = getattr(self.config, "return_dict", True)
        outputs = self.vit(pixel_values, **kwargs)
        hidden = outputs.last_hidden_state  # [batch, 1 + patches, hidden_size]
        logits = self.classifier(hidden[:, 1:].float().mean(dim=1).to(hidden.dtype))
        loss = None
        if labels is not None:
            loss = nn.functional.cross_entropy(logits, labels.to(logits.device, torch.long))
        if not return_dict:
            return (logits,) if loss is None else (loss, logits)
        return ImageClassifierOutput(
            loss=loss, logits=logits, hidden_states=outputs.hidden_states, attentions=outputs.attentions
        )
