"""The configuration of a Vision Transformer with mean pooling, as rehead writes it.

This file came with the model: transformers loads it with `trust_remote_code=True`.
"""

from transformers import ViTConfig


class ReheadViTConfig(ViTConfig):
    """ViT's settings under a type of its own, so that nothing loads the weights with another head."""

    model_type = "rehead_vit"
