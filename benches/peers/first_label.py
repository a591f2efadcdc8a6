"""Labels one text with a transformers pipeline: `python first_label.py --model DIR "the text"`."""

import argparse

import torch
from transformers import pipeline, utils

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model", required=True, help="directory of a classifier")
parser.add_argument("--threads", type=int, help="default: torch's own choice")
parser.add_argument("text")
arguments = parser.parse_args()
if arguments.threads:
    torch.set_num_threads(arguments.threads)
utils.logging.disable_progress_bar()
print(pipeline("text-classification", model=arguments.model)(arguments.text)[0]["label"])
