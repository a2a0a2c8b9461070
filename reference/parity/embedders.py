"""Text embedders: tiny sentence-transformers checkpoints and the vectors that sentence-transformers gives."""


import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers import models as modules
from transformers import PreTrainedTokenizerFast

import common


def wrap(path, model, tokenizer, special, length, pooling, normalize, side="right"):
    """Saves a transformer as a sentence-transformers model and returns that model as read back."""
    inner = path.parent / (path.name + ".inner")
    model.save_pretrained(inner)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=length, padding_side=side, **special)
    fast.save_pretrained(inner)
    transformer = modules.Transformer(str(inner), max_seq_length=length)
    parts = [transformer, modules.Pooling(model.config.hidden_size, pooling_mode=pooling)]
    if normalize:
        parts.append(modules.Normalize())
    SentenceTransformer(modules=parts, device="cpu").save(str(path), create_model_card=False)
    common.shutil.rmtree(inner)
    return SentenceTransformer(str(path), device="cpu")


def vectors(model, texts, prefix=""):
    # One at a time: padding changes the reference's own numbers in the last bits.
    return [model.encode([prefix + text], convert_to_tensor=True)[0] for text in texts]


def record(path, model, prefix="", texts=common.TEXTS, **more):
    tokens = [model.tokenize([prefix + text])["input_ids"][0] for text in texts]
    common.expect(
        path,
        made_by=f"transformers {transformers.__version__}",
        texts=texts,
        tokens=tokens,
        vectors=vectors(model, texts, prefix),
        **more,
    )


BERT = dict(pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]")
SMALL = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48)


def bert():
    tokenizer = common.wordpiece()
    config = transformers.BertConfig(vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=48, **SMALL)
    path = common.folder("bert")
    model = wrap(path, common.shake(transformers.BertModel(config)), tokenizer, BERT, 40, "mean", True)
    record(path, model)


def mpnet():
    tokenizer = common.wordpiece()
    config = transformers.MPNetConfig(
        vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=160, pad_token_id=1, **SMALL
    )
    path = common.folder("mpnet")
    model = wrap(path, common.shake(transformers.MPNetModel(config)), tokenizer, BERT, 150, "mean", False)
    # Long enough for the far buckets of the relative positions.
    record(path, model, texts=common.TEXTS + [" ".join(["a house near the sea"] * 28)])


ROBERTA = dict(bos_token="<s>", eos_token="</s>", cls_token="<s>", sep_token="</s>", pad_token="<pad>",
               unk_token="<unk>", mask_token="<mask>")


def roberta():
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = common.byte_bpe(special, template="<s> $A </s>")
    config = transformers.RobertaConfig(
        vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=50, type_vocab_size=1, layer_norm_eps=1e-5, **SMALL
    )
    path = common.folder("roberta")
    model = wrap(path, common.shake(transformers.RobertaModel(config)), tokenizer, ROBERTA, 40, "cls", False)
    record(path, model)


def nomic():
    tokenizer = common.wordpiece()
    config = transformers.NomicBertConfig(vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=64, **SMALL)
    path = common.folder("nomic-bert")
    model = wrap(path, common.shake(transformers.NomicBertModel(config)), tokenizer, BERT, 64, "mean", False)
    record(path, model, prefix="clustering: ", rope=config.rope_parameters)


def qwen3():
    special = ["<|endoftext|>", "<|im_end|>"]
    tokenizer = common.byte_bpe(special, template="$A <|endoftext|>")
    config = transformers.Qwen3Config(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, intermediate_size=48, max_position_embeddings=64,
        tie_word_embeddings=True, pad_token_id=0, eos_token_id=0, bos_token_id=0,
    )
    path = common.folder("qwen3-embed")
    model = wrap(
        path, common.shake(transformers.Qwen3Model(config)), tokenizer,
        dict(pad_token="<|endoftext|>", eos_token="<|endoftext|>"), 64, "lasttoken", True, side="left",
    )
    short = SentenceTransformer(str(path), device="cpu", truncate_dim=12)
    cut = [torch.nn.functional.normalize(vector, dim=0) for vector in vectors(short, common.TEXTS)]
    record(path, model, short=cut)


def modernbert():
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = common.byte_bpe(special, template="[CLS] $A [SEP]")
    size = {**SMALL, "num_hidden_layers": 4}
    config = transformers.ModernBertConfig(
        vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=128, local_attention=16,
        pad_token_id=0, cls_token_id=2, sep_token_id=3, bos_token_id=2, eos_token_id=3,
        attn_implementation="eager", **size,
    )
    path = common.folder("modernbert")
    model = wrap(path, common.shake(transformers.ModernBertModel(config)), tokenizer, BERT, 120, "cls", True)
    record(path, model)


if __name__ == "__main__":
    for make in (bert, mpnet, roberta, nomic, qwen3, modernbert):
        make()
        print(make.__name__, "made")
