"""A __CLASS__ classifier whose features are the mean over the last layer's tokens, as rehead trains it.

This file came with the model: transformers loads it with `trust_remote_code=True`.
"""

from inspect import signature

import torch
from torch import nn
from transformers import __CLASS__Model, __CLASS__PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from .configuration_rehead import Rehead__CLASS__Config


class Rehead__CLASS__ForSequenceClassification(__CLASS__PreTrainedModel):
    """__CLASS__, the mean over the tokens that are not padding, dropout, a linear layer."""

    config_class = Rehead__CLASS__Config
    # `forward` takes further arguments for the backbone, none for the loss (Trainer asks).
    accepts_loss_kwargs = False

    def __init__(self, config):
        super().__init__(config)
        self.num_labels = config.num_labels
        # Not every family's model has a pooler that could be left out.
        has_pooler = "add_pooling_layer" in signature(__CLASS__Model).parameters
        self.__BACKBONE__ = __CLASS__Model(config, **({"add_pooling_layer": False} if has_pooler else {}))
        dropout = getattr(config, "__HEAD_DROPOUT__", None)
        self.dropout = nn.Dropout(config.hidden_dropout_prob if dropout is None else dropout)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        inputs_embeds=None,
        labels=None,
        return_dict=None,
        **kwargs,
    ):
        """Logits `[batch, num_labels]`; with `labels` also the loss of `config.problem_type`."""
        if return_dict is None:
            return_dict = getattr(self.config, "return_dict", True)
        if token_type_ids is not None:  # a family without segments does not know of them
            kwargs["token_type_ids"] = token_type_ids
        if "global_attention_mask" in signature(__CLASS__Model.forward).parameters:  # the first token sees all
            first = torch.zeros_like(input_ids if inputs_embeds is None else inputs_embeds[..., 0], dtype=torch.long)
            first[:, 0] = 1
            kwargs.setdefault("global_attention_mask", first)
        outputs = self.__BACKBONE__(
            input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            return_dict=True,
            **kwargs,
        )
        hidden = outputs.last_hidden_state  # [batch, tokens, hidden_size]
        if attention_mask is None:
            attention_mask = hidden.new_ones(hidden.shape[:2])
        mask = attention_mask.to(hidden.device, torch.float32).unsqueeze(-1)
        mean = (hidden.float() * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1.0)
        logits = self.classifier(self.dropout(mean.to(hidden.dtype)))

        loss = None if labels is None else self.classification_loss(logits, labels.to(logits.device))
        if not return_dict:
            rest = tuple(value for value in (outputs.hidden_states, outputs.attentions) if value is not None)
            return (logits, *rest) if loss is None else (loss, logits, *rest)
        return SequenceClassifierOutput(
            loss=loss, logits=logits, hidden_states=outputs.hidden_states, attentions=outputs.attentions
        )

    def classification_loss(self, logits, labels):
        """As `__CLASS__ForSequenceClassification` chooses it: by `config.problem_type`, else by the labels' type."""
        problem = self.config.problem_type
        if problem is None:
            whole_numbers = labels.dtype in (torch.long, torch.int)
            problem = "single_label_classification" if whole_numbers else "multi_label_classification"
            problem = "regression" if self.num_labels == 1 else problem
        if problem == "regression":
            return nn.functional.mse_loss(logits.reshape(labels.shape), labels)
        if problem == "multi_label_classification":
            return nn.functional.binary_cross_entropy_with_logits(logits, labels)
        return nn.functional.cross_entropy(logits.view(-1, self.num_labels), labels.view(-1).long())
