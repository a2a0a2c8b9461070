"""What the makers of tiny checkpoints share: tokenizers, texts, pictures, and how results are written."""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

ROOT = Path(__file__).resolve().parents[2] / "crates" / "loopscope-models" / "tests" / "parity"

TEXTS = [
    "a small red circle at the left on a blue background",
    "A dog.",
    "The quick brown fox jumps over the lazy dog, and the dog does not mind at all.",
    "Two houses by a lake; behind them, mountains under a grey sky. " * 6,
    "naïve café, 東京, emoji 🙂 and a\ttab",
    "",
    "  spaces   around  ",
]

CORPUS = TEXTS + [
    "a painting of a house near the sea with a yellow sun",
    "a photo of a cat that sleeps on a green chair",
    "an abstract picture of many lines and circles in dark colours",
    "the man walks along the road to the old town",
]


def folder(name: str) -> Path:
    """An empty folder for a checkpoint."""
    path = ROOT / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def wordpiece(size=300):
    """An uncased WordPiece tokenizer as BERT's."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=size, special_tokens=special))
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", sep), ("[CLS]", cls))
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def byte_bpe(special, size=320, template=None, lowercase=False):
    """A byte-level BPE tokenizer as those of RoBERTa, Qwen and ModernBERT."""
    tokenizer = Tokenizer(models.BPE())
    if lowercase:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=size, special_tokens=special, initial_alphabet=alphabet)
    )
    if template:
        names = [word for word in template.split() if word != "$A"]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=template, special_tokens=[(word, tokenizer.token_to_id(word)) for word in names]
        )
    return tokenizer


def shake(model, seed=7, scale=0.15):
    """Random weights of a size that makes every part count: initial ones leave attention flat and norms at one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() == 1 and ("norm" in name.lower() or "lambda" in name) and "bias" not in name:
                parameter.copy_(1.0 + 0.2 * noise)
            else:
                parameter.copy_(scale * noise)
    return model.eval()


def pictures():
    """Pictures of several shapes, with slopes, edges and noise; saved as raw PNG beside the expectations."""
    random = np.random.default_rng(3)
    made = []
    for index, (width, height) in enumerate([(48, 48), (37, 61), (90, 40), (20, 24)]):
        y, x = np.mgrid[0:height, 0:width]
        red = 255 * x / max(1, width - 1)
        green = 255 * ((x // 7 + y // 5 + index) % 2)
        blue = 128 + 100 * np.sin((x + 2 * y) / (3.0 + index))
        pixels = np.stack([red, green, blue], -1) + random.normal(0, 12, (height, width, 3))
        made.append(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB"))
    return made


def save_pictures():
    path = folder("pictures")
    for index, picture in enumerate(pictures()):
        picture.save(path / f"{index}.png", optimize=True)


def expect(path: Path, **values):
    """Writes what the reference gave."""

    def plain(value):
        if isinstance(value, torch.Tensor):
            value = value.detach().numpy()
        if isinstance(value, np.ndarray):
            # Nine digits give every f32 back.
            short = (lambda number: number) if value.dtype.kind in "iu" else (lambda number: float(f"{number:.9g}"))
            return [short(number) for number in value.tolist()] if value.ndim == 1 else [plain(row) for row in value]
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return value

    (path / "expected.json").write_text(json.dumps({key: plain(value) for key, value in values.items()}) + "\n")
