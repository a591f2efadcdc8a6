"""Labels texts with ONNX Runtime in batches of similar length, in the precision of the file given with --onnx."""

import labelling
import onnxruntime
from transformers import AutoConfig, AutoTokenizer


def load(arguments, _device):
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    names = AutoConfig.from_pretrained(arguments.model).id2label
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads or 0
    session = onnxruntime.InferenceSession(arguments.onnx, options, providers=["CPUExecutionProvider"])
    inputs = [value.name for value in session.get_inputs()]

    def label(texts):
        labels = [None] * len(texts)
        for rows, batch in labelling.sorted_batches(tokenizer, texts, arguments, "np"):
            (logits,) = session.run(["logits"], {name: batch[name] for name in inputs})
            for row, index in zip(rows, logits.argmax(-1).tolist()):
                labels[row] = names[index]
        return labels

    return tokenizer, label


if __name__ == "__main__":
    labelling.main("ONNX Runtime on batches of similar length", load)
