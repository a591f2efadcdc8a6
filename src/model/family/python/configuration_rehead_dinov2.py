"""The configurations of DINOv2 with a head of another kind than transformers' own, as rehead writes it.

This file came with the model: transformers loads it with `trust_remote_code=True`.
"""

from transformers import Dinov2Config, Dinov2WithRegistersConfig


class ReheadDinov2Config(Dinov2Config):
    """DINOv2's settings under a type of its own, so that nothing loads the weights with another head."""

    model_type = "rehead_dinov2"


class ReheadDinov2WithRegistersConfig(Dinov2WithRegistersConfig):
    """The same with registers."""

    model_type = "rehead_dinov2_with_registers"
