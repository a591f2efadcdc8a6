"""The configuration of CLIP's vision tower with a head on the class token, as rehead writes it.

This file came with the model: transformers loads it with `trust_remote_code=True`.
"""

from transformers import CLIPConfig


class ReheadCLIPConfig(CLIPConfig):
    """CLIP's settings under a type of its own, so that nothing loads the weights with another head."""

    model_type = "rehead_clip"
