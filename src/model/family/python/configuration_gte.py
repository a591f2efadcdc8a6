"""The configuration of a GTE encoder, for versions of transformers that do not have it.

This file came with a model of rehead: such a transformers loads it with `trust_remote_code=True`.
"""

from transformers import PretrainedConfig


class GteConfig(PretrainedConfig):
    """As transformers' own: `rope_parameters` holds `rope_theta`, and with `rope_type` linear a `factor`."""

    model_type = "gte"

    def __init__(
        self,
        vocab_size=250048,
        hidden_size=768,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=3072,
        hidden_act="gelu",
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.0,
        max_position_embeddings=8192,
        type_vocab_size=1,
        initializer_range=0.02,
        layer_norm_eps=1e-12,
        pad_token_id=1,
        classifier_dropout=None,
        rope_parameters=None,
        **kwargs,
    ):
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = intermediate_size
        self.hidden_act = hidden_act
        self.hidden_dropout_prob = hidden_dropout_prob
        self.attention_probs_dropout_prob = attention_probs_dropout_prob
        self.max_position_embeddings = max_position_embeddings
        self.type_vocab_size = type_vocab_size
        self.initializer_range = initializer_range
        self.layer_norm_eps = layer_norm_eps
        self.classifier_dropout = classifier_dropout
        self.rope_parameters = rope_parameters or {"rope_type": "default", "rope_theta": 160000.0}
        super().__init__(pad_token_id=pad_token_id, **kwargs)
