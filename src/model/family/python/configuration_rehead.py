"""The configuration of a __CLASS__ classifier with mean pooling, as rehead writes it.

This file came with the model: transformers loads it with `trust_remote_code=True`.
"""

from transformers import __CLASS__Config


class Rehead__CLASS__Config(__CLASS__Config):
    """The settings of __CLASS__ under a type of its own, so that nothing loads the weights with another head."""

    model_type = "__TYPE__"
