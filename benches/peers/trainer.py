"""Fine-tunes with Hugging Face's Trainer on a CSV file, to compare with `rehead train`.

python trainer.py --train train.csv --test test.csv --model DIR --mode best --json

default  the Trainer's defaults: fp32, batches of 32 in random order, padded to their longest text, learning rate 5e-5
best     the fast settings of its documentation: bf16 where the hardware supports it, batches grouped by length, fused
         AdamW, SDPA, learning rate 1e-4 after a linear warm-up over 10 % of the steps
frozen   `default` with the backbone frozen, learning rate 1e-3

On a GPU, `best` is compiled as well. The time is that of `trainer.train()` alone, after a few
warm-up steps that are undone.
"""

import argparse
import copy
import json
import sys
import tempfile
import time
from functools import partial

import common
import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)

# When compiled, the first steps compile code for each new sequence length.
WARM_UP_STEPS, WARM_UP_STEPS_COMPILED = 2, 20

LEARNING_RATES = {"default": 5e-5, "best": 1e-4, "frozen": 1e-3}


def main():
    arguments = parse()
    common.quiet()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = common.device_of(arguments.device)
    bf16 = arguments.bf16 == "on"
    if arguments.bf16 == "auto":
        bf16 = arguments.mode == "best" and common.has_fast_bf16(device)
    compiled = arguments.compile == "on"
    if arguments.compile == "auto":
        compiled = arguments.mode == "best" and device == "cuda"

    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    texts, labels = common.read_rows(arguments.train, arguments.text, arguments.label)
    names = sorted(set(labels))
    train = encode(tokenizer, texts, labels, names, arguments.max_length)
    splits = {
        split: encode(tokenizer, *common.read_rows(file, arguments.text, arguments.label), names, arguments.max_length)
        for split, file in (("valid", arguments.valid), ("test", arguments.test))
        if file
    }

    # The seed decides the head and the order of the batches.
    set_seed(arguments.seed)
    options = {"attn_implementation": "sdpa"} if arguments.mode == "best" else {}
    model = AutoModelForSequenceClassification.from_pretrained(
        arguments.model,
        dtype=torch.float32,
        num_labels=len(names),
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
        ignore_mismatched_sizes=True,
        **options,
    )
    if arguments.mode == "frozen":
        model.base_model.requires_grad_(False)
    elif arguments.only:
        train_only(model, arguments.only)

    with tempfile.TemporaryDirectory() as scratch:
        build = partial(trainer_of, model, tokenizer, train, arguments, device, bf16, compiled, scratch)
        # The warm-up trains this model, so that its compiled code is kept; then its weights are restored.
        weights = copy.deepcopy(model.state_dict())
        warm_up = build(WARM_UP_STEPS_COMPILED if compiled else WARM_UP_STEPS)
        warm_up.train()
        warm_up.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
        model.load_state_dict(weights)
        del weights
        trainer = build(arguments.limit_steps)
        common.synchronize(device)
        start = time.perf_counter()
        outcome = trainer.train()
        common.synchronize(device)
        seconds = time.perf_counter() - start
        scores = {split: accuracy(trainer, rows) for split, rows in splits.items()}

    tokens = trainer.data_collator.tokens_of(outcome.global_step)
    result = {
        "peer": "transformers Trainer",
        "mode": arguments.mode,
        "model": arguments.model,
        "seed": arguments.seed,
        "precision": "bf16" if bf16 else "fp32",
        "compiled": compiled,
        "learning_rate": trainer.args.learning_rate,
        "batch_size": arguments.batch_size,
        "max_length": arguments.max_length,
        "optimizer": str(trainer.args.optim.value),
        "epochs": arguments.epochs,
        "steps": outcome.global_step,
        "train_rows": len(train),
        "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "train_seconds": round(seconds, 3),
        "train_runtime_by_trainer": outcome.metrics["train_runtime"],
        "tokens": tokens,
        "tokens_per_second": round(tokens / seconds, 1),
        "train_loss": outcome.training_loss,
    }
    result |= {f"{split}_accuracy": score for split, score in scores.items()}
    result |= common.surroundings(device)
    if arguments.save:
        trainer.save_model(arguments.save)
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        shown = ", ".join(f"{split} accuracy {score:.4f}" for split, score in scores.items())
        print(
            f"{arguments.mode} ({result['precision']}): {seconds:.1f} s for {outcome.global_step} steps,"
            f" {result['tokens_per_second']:.0f} tokens/s without padding; {shown}"
        )


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True, help="CSV")
    parser.add_argument("--valid", help="CSV; evaluated once, after training")
    parser.add_argument("--test", help="CSV; evaluated once, after training")
    parser.add_argument("--model", required=True, help="model directory")
    parser.add_argument("--text", default="text", help="text column")
    parser.add_argument("--label", default="label", help="label column")
    parser.add_argument("--mode", choices=list(LEARNING_RATES), default="default")
    parser.add_argument("--only", metavar="last:N|biases", help="train the last N layers, or the biases, and the head")
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--lr", type=float, help="default 5e-5, 1e-4 or 1e-3 by mode")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--bf16", choices=["auto", "on", "off"], default="auto", help="auto: in best, if supported")
    parser.add_argument("--compile", choices=["auto", "on", "off"], default="auto", help="auto: in best, on a GPU")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--threads", type=int, help="default: torch's own choice")
    parser.add_argument("--limit-steps", type=int, default=-1, help="stop after so many steps (a smoke test)")
    parser.add_argument("--save", help="directory for the finished classifier")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def train_only(model, what):
    """Freezes all of a BERT but the last N layers (`last:N`) or the biases, the pooler and the classifier."""
    model.bert.embeddings.requires_grad_(False)
    model.bert.encoder.requires_grad_(False)
    if what == "biases":
        for name, parameter in model.bert.named_parameters():
            parameter.requires_grad_(name.endswith("bias") or name.startswith("pooler"))
        return
    last = int(what.removeprefix("last:"))
    for layer in model.bert.encoder.layer[-last:]:
        layer.requires_grad_(True)


def encode(tokenizer, texts, labels, names, max_length):
    """Tokenises the rows once, before the time is taken, without padding."""
    unknown = sorted(set(labels) - set(names))
    if unknown:
        sys.exit(f"labels that the training rows do not have: {', '.join(unknown[:5])}")
    encodings = tokenizer(texts, truncation=True, max_length=max_length, padding=False)
    index = {name: position for position, name in enumerate(names)}
    return [
        {key: values[row] for key, values in encodings.items()} | {"labels": index[labels[row]]}
        for row in range(len(texts))
    ]


class CountingCollator:
    """Pads each batch to its longest text, and counts the tokens that are not padding."""

    def __init__(self, tokenizer):
        self.pad = DataCollatorWithPadding(tokenizer)
        self.tokens = []

    def __call__(self, rows):
        self.tokens.append(sum(len(row["input_ids"]) for row in rows))
        return self.pad(rows)

    def tokens_of(self, steps):
        """Tokens of the first `steps` batches: the loader may have fetched one more batch than was trained on."""
        return sum(self.tokens[:steps])


def trainer_of(model, tokenizer, train, arguments, device, bf16, compiled, scratch, steps):
    best = {}
    if arguments.mode == "best":
        best = {"train_sampling_strategy": "group_by_length", "optim": "adamw_torch_fused", "warmup_steps": 0.1}
    settings = TrainingArguments(
        output_dir=scratch,
        num_train_epochs=arguments.epochs,
        max_steps=steps,
        per_device_train_batch_size=arguments.batch_size,
        per_device_eval_batch_size=64,
        learning_rate=arguments.lr or LEARNING_RATES[arguments.mode],
        seed=arguments.seed,
        bf16=bf16,
        torch_compile=compiled,
        use_cpu=device == "cpu",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **best,
    )
    trainer = Trainer(
        model=model,
        args=settings,
        train_dataset=train,
        data_collator=CountingCollator(tokenizer),
        processing_class=tokenizer,
    )
    # This callback prints to standard output, which must hold only the result.
    trainer.remove_callback(PrinterCallback)
    return trainer


def accuracy(trainer, rows):
    trainer.data_collator, counting = trainer.data_collator.pad, trainer.data_collator
    prediction = trainer.predict(rows)
    trainer.data_collator = counting
    return float(np.mean(prediction.predictions.argmax(-1) == prediction.label_ids))


if __name__ == "__main__":
    main()
