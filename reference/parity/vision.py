"""Image embedders and captioners: tiny checkpoints and what transformers gives for the same pictures."""

import json

import torch
import transformers
from PIL import Image
from transformers import PreTrainedTokenizerFast
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

import common


def images():
    return [Image.open(common.ROOT / "pictures" / f"{index}.png") for index in range(4)]


def pixels(processor):
    """One tensor a picture: their sizes are equal after the processor."""
    return [processor(images=image, return_tensors="pt")["pixel_values"] for image in images()]


def plain(output):
    return output.pooler_output if hasattr(output, "pooler_output") else output


def record(path, vectors, inputs, **more):
    # A few of the pixels, from all of each picture, hold the processor to the reference by itself.
    samples = [tensor.flatten()[:: max(1, tensor.numel() // 60)] for tensor in inputs]
    common.expect(
        path,
        made_by=f"transformers {transformers.__version__}",
        pixel_counts=[tensor.numel() for tensor in inputs],
        pixels=samples,
        vectors=[vector[0] for vector in vectors],
        **more,
    )


def clip():
    special = ["<|startoftext|>", "<|endoftext|>"]
    tokenizer = common.byte_bpe(special, template="<|startoftext|> $A <|endoftext|>", lowercase=True)
    shape = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48)
    end = tokenizer.token_to_id("<|endoftext|>")
    config = transformers.CLIPConfig(
        text_config=dict(vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=40, bos_token_id=0,
                         eos_token_id=end, pad_token_id=end, **shape),
        vision_config=dict(image_size=32, patch_size=8, **shape),
        projection_dim=24,
    )
    path = common.folder("clip")
    model = common.shake(transformers.CLIPModel(config))
    model.save_pretrained(path)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=40, bos_token="<|startoftext|>",
                                   eos_token="<|endoftext|>", pad_token="<|endoftext|>", unk_token="<|endoftext|>")
    fast.save_pretrained(path)
    processor = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    processor.save_pretrained(path)
    inputs = pixels(processor)
    with torch.no_grad():
        vectors = [plain(model.get_image_features(pixel_values=tensor)) for tensor in inputs]
        tokens = [fast(text, truncation=True, return_tensors="pt")["input_ids"] for text in common.TEXTS]
        texts = [plain(model.get_text_features(input_ids=ids)) for ids in tokens]
    record(path, vectors, inputs, texts=common.TEXTS, tokens=[ids[0] for ids in tokens],
           text_vectors=[text[0] for text in texts])


def siglip():
    shape = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48)
    config = transformers.SiglipConfig(
        text_config=dict(vocab_size=64, max_position_embeddings=8, **shape),
        vision_config=dict(image_size=32, patch_size=8, **shape),
    )
    path = common.folder("siglip")
    model = common.shake(transformers.SiglipModel(config))
    model.save_pretrained(path)
    processor = SiglipImageProcessorPil(size={"height": 32, "width": 32})
    processor.save_pretrained(path)
    inputs = pixels(processor)
    with torch.no_grad():
        vectors = [plain(model.get_image_features(pixel_values=tensor)) for tensor in inputs]
    record(path, vectors, inputs)


def dinov2():
    # As published: places for larger pictures than the processor makes, so that they are interpolated.
    config = transformers.Dinov2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, mlp_ratio=2,
                                       image_size=56, patch_size=8)
    path = common.folder("dinov2")
    model = common.shake(transformers.Dinov2Model(config))
    model.save_pretrained(path)
    processor = BitImageProcessorPil(
        size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}, resample=3, do_convert_rgb=True,
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225],
    )
    processor.save_pretrained(path)
    inputs = pixels(processor)
    with torch.no_grad():
        vectors = [model(pixel_values=tensor).pooler_output for tensor in inputs]
    record(path, vectors, inputs)


def blip():
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = common.wordpiece()
    tokenizer.add_special_tokens(["[DEC]"])
    start, sep = tokenizer.token_to_id("[DEC]"), tokenizer.token_to_id("[SEP]")
    config = transformers.BlipConfig(
        text_config=dict(vocab_size=tokenizer.get_vocab_size(), hidden_size=32, encoder_hidden_size=24,
                         intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=40,
                         bos_token_id=start, eos_token_id=sep, sep_token_id=sep, pad_token_id=0),
        vision_config=dict(hidden_size=24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                           image_size=32, patch_size=8),
    )
    path = common.folder("blip")
    # Larger weights than elsewhere: captions of the four pictures are to differ.
    model = common.shake(transformers.BlipForConditionalGeneration(config), scale=0.3)
    model.tie_weights()
    model.save_pretrained(path)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=40, pad_token="[PAD]",
                                   unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]")
    fast.save_pretrained(path)
    processor = BlipImageProcessorPil(size={"height": 32, "width": 32})
    processor.save_pretrained(path)
    inputs = pixels(processor)
    prompt = "a photo of"
    # What BlipProcessor gives: the tokens of the prompt without the closing one are kept by generate().
    prompt_ids = fast(prompt, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        ids = [model.generate(pixel_values=tensor, max_length=20, num_beams=1, do_sample=False)[0] for tensor in inputs]
        prompted = [
            model.generate(pixel_values=tensor, input_ids=prompt_ids.clone(), max_length=20, num_beams=1,
                           do_sample=False)[0]
            for tensor in inputs
        ]
        vision = [model.vision_model(pixel_values=tensor).last_hidden_state for tensor in inputs]
        logits = [model(pixel_values=tensor, input_ids=row[None, :-1]).logits[0, -1] for tensor, row in zip(inputs, ids)]
    record(path, [rows[:, 0] for rows in vision], inputs, ids=ids, prompt=prompt, prompted_ids=prompted,
           captions=[fast.decode(row, skip_special_tokens=True) for row in ids],
           prompted_captions=[fast.decode(row, skip_special_tokens=True) for row in prompted],
           last_logits=logits)


def moondream():
    """The authors' program is not in transformers: SigLIP's layers, a projection and Phi are, wired and named as there."""
    from safetensors.torch import save_file

    tokenizer = common.byte_bpe(["<|endoftext|>"])
    width, heads, side, patch = 32, 4, 32, 8
    vision = common.shake(transformers.SiglipVisionModel(transformers.SiglipVisionConfig(
        hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, image_size=side,
        patch_size=patch, layer_norm_eps=1e-5, vision_use_head=False)))
    phi = common.shake(transformers.PhiForCausalLM(transformers.PhiConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=width, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=heads, num_key_value_heads=heads, partial_rotary_factor=0.5, hidden_act="gelu_new",
        layer_norm_eps=1e-5, max_position_embeddings=128, bos_token_id=0, eos_token_id=0, pad_token_id=0,
        resid_pdrop=0.0, embd_pdrop=0.0, attention_dropout=0.0)), scale=0.4)
    # As for BLIP: answers about the four pictures are to differ.
    project = common.shake(torch.nn.Sequential(torch.nn.Linear(24, 64), torch.nn.GELU(approximate="tanh"),
                                               torch.nn.Linear(64, width)), scale=0.6)
    state, at = {}, "vision_encoder.encoder.model.visual."
    their = {name.removeprefix("vision_model."): tensor for name, tensor in vision.state_dict().items()}
    state[at + "patch_embed.linear.weight"] = their["embeddings.patch_embedding.weight"].flatten(1)
    state[at + "patch_embed.linear.bias"] = their["embeddings.patch_embedding.bias"]
    state[at + "pos_embed"] = their["embeddings.position_embedding.weight"][None]
    for layer in range(2):
        source, target = f"encoder.layers.{layer}.", at + f"blocks.{layer}."
        for kind in ("weight", "bias"):
            state[target + f"attn.qkv.{kind}"] = torch.cat(
                [their[source + f"self_attn.{part}_proj.{kind}"] for part in "qkv"])
            for ours, theirs in [("attn.proj", "self_attn.out_proj"), ("mlp.fc1", "mlp.fc1"), ("mlp.fc2", "mlp.fc2"),
                                 ("norm1", "layer_norm1"), ("norm2", "layer_norm2")]:
                state[target + f"{ours}.{kind}"] = their[source + f"{theirs}.{kind}"]
    for kind in ("weight", "bias"):
        state[at + f"norm.{kind}"] = their[f"post_layernorm.{kind}"]
        state[f"vision_encoder.projection.mlp.fc1.{kind}"] = getattr(project[0], kind)
        state[f"vision_encoder.projection.mlp.fc2.{kind}"] = getattr(project[2], kind)
    their, at = phi.state_dict(), "text_model.transformer."
    state[at + "embd.wte.weight"] = their["model.embed_tokens.weight"]
    for layer in range(2):
        source, target = f"model.layers.{layer}.", at + f"h.{layer}."
        for kind in ("weight", "bias"):
            state[target + f"mixer.Wqkv.{kind}"] = torch.cat(
                [their[source + f"self_attn.{part}_proj.{kind}"] for part in "qkv"])
            for ours, theirs in [("ln", "input_layernorm"), ("mixer.out_proj", "self_attn.dense"),
                                 ("mlp.fc1", "mlp.fc1"), ("mlp.fc2", "mlp.fc2")]:
                state[target + f"{ours}.{kind}"] = their[source + f"{theirs}.{kind}"]
    for kind in ("weight", "bias"):
        state[f"text_model.lm_head.ln.{kind}"] = their[f"model.final_layernorm.{kind}"]
        state[f"text_model.lm_head.linear.{kind}"] = their[f"lm_head.{kind}"]
    path = common.folder("moondream")
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in state.items()}, path / "model.safetensors")
    # The real config has no such keys; the sizes of the real model are the defaults.
    shape = dict(text_config=dict(n_head=heads, rotary_dim=4, n_positions=128), vision_config=dict(num_heads=4))
    (path / "config.json").write_text(json.dumps(dict(model_type="moondream1", **shape), indent=2) + "\n")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>").save_pretrained(path)
    question = "What is in the picture?"
    asked = tokenizer.encode(f"\n\nQuestion: {question}\n\nAnswer:").ids
    processor = SiglipImageProcessorPil(size={"height": side, "width": side})
    rows, ids = [], []
    with torch.no_grad():
        for tensor in pixels(processor):
            seen = project(vision(pixel_values=tensor).last_hidden_state)
            words = phi.get_input_embeddings()
            begin = torch.cat([words(torch.tensor([[0]])), seen, words(torch.tensor([asked]))], dim=1)
            made = phi.generate(inputs_embeds=begin, attention_mask=torch.ones(begin.shape[:2], dtype=torch.long),
                                max_new_tokens=12, do_sample=False, num_beams=1)[0].tolist()
            rows.append(seen[0, 0])
            ids.append(made[: made.index(0)] if 0 in made else made)
    common.expect(path, made_by=f"transformers {transformers.__version__}", question=question, tokens_max=12,
                  rows=rows, ids=ids, answers=[tokenizer.decode(row).strip() for row in ids])


if __name__ == "__main__":
    common.save_pictures()
    for make in (clip, siglip, dinov2, blip, moondream):
        make()
        print(make.__name__, "made")
