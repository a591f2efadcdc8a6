"""Labels texts with a default transformers pipeline: batches in the file's order, padded to their longest text."""

import labelling
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline


def load(arguments, device):
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    dtype = torch.bfloat16 if arguments.precision == "bf16" else torch.float32
    model = AutoModelForSequenceClassification.from_pretrained(arguments.model, dtype=dtype)
    classify = pipeline("text-classification", model=model.eval(), tokenizer=tokenizer, device=device)

    def label(texts):
        results = classify(texts, batch_size=arguments.batch_size, truncation=True, max_length=arguments.max_length)
        return [result["label"] for result in results]

    return tokenizer, label


if __name__ == "__main__":
    labelling.main("the transformers pipeline", load)
