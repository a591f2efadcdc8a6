"""A GTE encoder (Zhang et al. 2024) and its classifier, for versions of transformers that do not have them.

This file came with a model of rehead: such a transformers loads it with `trust_remote_code=True`. The names of the
weights are those of transformers' own `GteForSequenceClassification`.
"""

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.activations import ACT2FN
from transformers.modeling_outputs import BaseModelOutputWithPooling, SequenceClassifierOutput

from .configuration_gte import GteConfig


class GteEmbeddings(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id)
        kinds = config.type_vocab_size
        self.token_type_embeddings = nn.Embedding(kinds, config.hidden_size) if kinds else None
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, input_ids, token_type_ids, inputs_embeds):
        x = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        if self.token_type_embeddings is not None:
            if token_type_ids is None:
                token_type_ids = torch.zeros(x.shape[:-1], dtype=torch.long, device=x.device)
            x = x + self.token_type_embeddings(token_type_ids)
        return self.dropout(self.LayerNorm(x))


class GteAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.heads = config.num_attention_heads
        self.dropout = config.attention_probs_dropout_prob
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self, name, nn.Linear(config.hidden_size, config.hidden_size))

    def forward(self, x, mask, angles):
        def turn(heads):
            left, right = heads.chunk(2, dim=-1)
            return heads * angles.cos().to(x.dtype) + torch.cat((-right, left), dim=-1) * angles.sin().to(x.dtype)

        def by_head(projected):
            return projected.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

        query, key, value = by_head(self.q_proj(x)), by_head(self.k_proj(x)), by_head(self.v_proj(x))
        context = nn.functional.scaled_dot_product_attention(
            turn(query), turn(key), value, attn_mask=mask, dropout_p=self.dropout if self.training else 0.0
        )
        return self.o_proj(context.transpose(1, 2).flatten(2))


class GteMLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size)
        self.activation = ACT2FN[config.hidden_act]
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, x):
        return self.down_proj(self.dropout(self.activation(self.gate_proj(x)) * self.up_proj(x)))


class GteLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.self_attn = GteAttention(config)
        self.mlp = GteMLP(config)
        self.post_attention_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.post_mlp_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, x, mask, angles):
        x = self.post_attention_layernorm(x + self.dropout(self.self_attn(x, mask, angles)))
        return self.post_mlp_layernorm(x + self.dropout(self.mlp(x)))


class GtePooler(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x):
        return torch.tanh(self.dense(x[:, 0]))


class GtePreTrainedModel(PreTrainedModel):
    config_class = GteConfig
    base_model_prefix = "gte"
    _supports_sdpa = True


class GteModel(GtePreTrainedModel):
    """The last layer's token vectors; with a pooler also its answer to the first one."""

    def __init__(self, config, add_pooling_layer=False):
        super().__init__(config)
        self.embeddings = GteEmbeddings(config)
        self.layers = nn.ModuleList([GteLayer(config) for _ in range(config.num_hidden_layers)])
        self.pooler = GtePooler(config) if add_pooling_layer else None
        self.post_init()

    def get_input_embeddings(self):
        return self.embeddings.word_embeddings

    def angles(self, positions):
        """By which queries and keys are turned, `[..., positions, columns of a head]`, in fp32."""
        rope = self.config.rope_parameters
        columns = self.config.hidden_size // self.config.num_attention_heads
        shares = torch.arange(0, columns, 2, dtype=torch.float, device=positions.device) / columns
        frequencies = 1.0 / rope["rope_theta"] ** shares
        if rope.get("rope_type", "default") == "linear":
            frequencies = frequencies / rope["factor"]
        angles = positions.float()[..., None] * frequencies
        return torch.cat((angles, angles), dim=-1)

    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        inputs_embeds=None,
        return_dict=None,
        **kwargs,
    ):
        x = self.embeddings(input_ids, token_type_ids, inputs_embeds)
        if position_ids is None:
            position_ids = torch.arange(x.shape[1], device=x.device)[None, :]
        angles = self.angles(position_ids)[:, None]
        mask = None if attention_mask is None else attention_mask.bool()[:, None, None, :]
        for layer in self.layers:
            x = layer(x, mask, angles)
        pooled = None if self.pooler is None else self.pooler(x)
        return BaseModelOutputWithPooling(last_hidden_state=x, pooler_output=pooled)


class GteForSequenceClassification(GtePreTrainedModel):
    """The encoder, BERT's pooler, dropout, a linear layer."""

    # `forward` takes no arguments for the loss (Trainer asks).
    accepts_loss_kwargs = False

    def __init__(self, config):
        super().__init__(config)
        self.num_labels = config.num_labels
        self.gte = GteModel(config, add_pooling_layer=True)
        dropout = config.classifier_dropout
        self.dropout = nn.Dropout(config.hidden_dropout_prob if dropout is None else dropout)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, input_ids=None, attention_mask=None, labels=None, return_dict=None, **kwargs):
        """Logits `[batch, num_labels]`; with `labels` also the loss of `config.problem_type`."""
        pooled = self.gte(input_ids, attention_mask=attention_mask, **kwargs).pooler_output
        logits = self.classifier(self.dropout(pooled))
        loss = None
        if labels is not None:
            if self.config.problem_type == "multi_label_classification":
                loss = nn.functional.binary_cross_entropy_with_logits(logits, labels)
            else:
                loss = nn.functional.cross_entropy(logits, labels.view(-1))
        if return_dict is False:
            return (logits,) if loss is None else (loss, logits)
        return SequenceClassifierOutput(loss=loss, logits=logits)
