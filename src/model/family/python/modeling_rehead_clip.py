"""CLIP's vision tower whose features are the normalised class token, as rehead trains it.

This file came with the model: transformers loads it with `trust_remote_code=True`.
"""

import torch
from torch import nn
from transformers import CLIPPreTrainedModel, CLIPVisionModel
from transformers.modeling_outputs import ImageClassifierOutput

from .configuration_rehead_clip import ReheadCLIPConfig


class ReheadCLIPForImageClassification(CLIPPreTrainedModel):
    """The vision tower, its class token after the last norm, a linear layer."""

    config_class = ReheadCLIPConfig
    main_input_name = "pixel_values"

    def __init__(self, config):
        super().__init__(config)
        self.num_labels = config.num_labels
        tower = CLIPVisionModel._from_config(config.vision_config)
        # Older versions of transformers have another class around the tower.
        self.vision_model = getattr(tower, "vision_model", tower)
        self.classifier = nn.Linear(config.vision_config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, pixel_values=None, labels=None, return_dict=None, **kwargs):
        """Logits `[batch, num_labels]`; with `labels` also the cross-entropy."""
        if return_dict is None:
            return_dict = getattr(self.config, "return_dict", True)
        outputs = self.vision_model(pixel_values, **kwargs)
        logits = self.classifier(outputs.pooler_output)
        loss = None
        if labels is not None:
            loss = nn.functional.cross_entropy(logits, labels.to(logits.device, torch.long))
        if not return_dict:
            return (logits,) if loss is None else (loss, logits)
        return ImageClassifierOutput(
            loss=loss, logits=logits, hidden_states=outputs.hidden_states, attentions=outputs.attentions
        )
