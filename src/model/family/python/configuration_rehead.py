"""The configuration of a BERT classifier with mean pooling, as rehead writes it.

This file came with the model: transformers loads it with `trust_remote_code=True`.
"""

from transformers import BertConfig


class ReheadBertConfig(BertConfig):
    """BERT's settings under a type of its own, so that nothing loads the weights with another head."""

    model_type = "rehead_bert"
