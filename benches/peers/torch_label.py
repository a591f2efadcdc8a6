"""Labels texts with the model in torch: batches of similar length, SDPA, fp32 or bf16."""

import labelling
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer


def load(arguments, device):
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model = AutoModelForSequenceClassification.from_pretrained(
        arguments.model,
        dtype=torch.bfloat16 if arguments.precision == "bf16" else torch.float32,
        attn_implementation="sdpa",
    )
    model = model.to(device).eval()
    names = model.config.id2label

    @torch.inference_mode()
    def label(texts):
        labels = [None] * len(texts)
        for rows, batch in labelling.sorted_batches(tokenizer, texts, arguments, "pt"):
            for row, index in zip(rows, model(**batch.to(device)).logits.argmax(-1).tolist()):
                labels[row] = names[index]
        return labels

    return tokenizer, label


if __name__ == "__main__":
    labelling.main("torch on batches of similar length", load)
