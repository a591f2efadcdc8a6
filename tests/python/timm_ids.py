"""Fails if timm does not fetch trained weights from one of the given hub ids: python timm_ids.py ID..."""

import sys

import timm

for hub_id in sys.argv[1:]:
    config = timm.models.get_pretrained_cfg(hub_id.removeprefix("timm/"))
    assert config is not None and config.hf_hub_id == hub_id and config.input_size[-1] >= 192, hub_id
