"""Moondream 2 in the layouts of 2024 and of 2025: tiny checkpoints and what the reference gives.

The authors' program is not in transformers: SigLIP's layers, a projection and Phi are, wired and named as there. What is
between them (how a picture is cut and put together again) is written out here from their `image_crops.py`.
"""

import json
import math

import numpy as np
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerFast
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

import common
from vision import images, pixels

END = "<|endoftext|>"
LAYERS = 2
TOKENS_MAX = 12


def parts(tokenizer, side, patch, places, seen):
    """The tower, the language model and the projection from `seen` numbers; answers about the pictures are to differ."""
    width = 32
    vision = common.shake(transformers.SiglipVisionModel(transformers.SiglipVisionConfig(
        hidden_size=24, intermediate_size=40, num_hidden_layers=LAYERS, num_attention_heads=4, image_size=side,
        patch_size=patch, layer_norm_eps=1e-5, vision_use_head=False)))
    phi = common.shake(transformers.PhiForCausalLM(transformers.PhiConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=width, intermediate_size=64, num_hidden_layers=LAYERS,
        num_attention_heads=4, num_key_value_heads=4, partial_rotary_factor=0.5, hidden_act="gelu_new",
        layer_norm_eps=1e-5, max_position_embeddings=places, bos_token_id=0, eos_token_id=0, pad_token_id=0,
        resid_pdrop=0.0, embd_pdrop=0.0, attention_dropout=0.0, attn_implementation="eager")), scale=0.4)
    project = common.shake(torch.nn.Sequential(torch.nn.Linear(seen, 64), torch.nn.GELU(approximate="tanh"),
                                               torch.nn.Linear(64, width)), scale=0.6)
    return vision, phi, project


def state_2024(vision, phi, project):
    """The weights by the names of 2024."""
    state, at = {}, "vision_encoder.encoder.model.visual."
    their = {name.removeprefix("vision_model."): tensor for name, tensor in vision.state_dict().items()}
    state[at + "patch_embed.linear.weight"] = their["embeddings.patch_embedding.weight"].flatten(1)
    state[at + "patch_embed.linear.bias"] = their["embeddings.patch_embedding.bias"]
    state[at + "pos_embed"] = their["embeddings.position_embedding.weight"][None]
    for layer in range(LAYERS):
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
    for layer in range(LAYERS):
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
    return state


def state_2025(vision, phi, project):
    """The weights by the names of 2025, as the authors' `weights.py` pairs the two; its parts for places are left out."""
    names = [
        ("vision_encoder.encoder.model.visual.patch_embed.linear.", "vision.patch_emb."),
        ("vision_encoder.encoder.model.visual.pos_embed", "vision.pos_emb"),
        ("vision_encoder.encoder.model.visual.norm.", "vision.post_ln."),
        ("vision_encoder.encoder.model.visual.blocks.", "vision.blocks."),
        ("vision_encoder.projection.mlp.", "vision.proj_mlp."),
        ("text_model.transformer.embd.wte.weight", "text.wte"),
        ("text_model.transformer.h.", "text.blocks."),
        ("text_model.lm_head.ln.", "text.post_ln."),
        ("text_model.lm_head.linear.", "text.lm_head."),
        (".norm1.", ".ln1."), (".norm2.", ".ln2."), (".mixer.Wqkv.", ".attn.qkv."), (".mixer.out_proj.", ".attn.proj."),
    ]
    state = {}
    for name, tensor in state_2024(vision, phi, project).items():
        for old, new in names:
            name = name.replace(old, new)
        state["model." + name] = tensor
    return state


def save(path, state, config, tokenizer):
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in state.items()}, path / "model.safetensors")
    (path / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END).save_pretrained(path)


def written(tokenizer, made):
    ids = made[: made.index(0)] if 0 in made else made
    return ids, tokenizer.decode(ids).strip()


def of_2024():
    tokenizer = common.byte_bpe([END])
    side = 32
    vision, phi, project = parts(tokenizer, side, 8, 128, 24)
    path = common.folder("moondream")
    # The real config has no such keys; the sizes of the real model are the defaults.
    shape = dict(text_config=dict(n_head=4, rotary_dim=4, n_positions=128), vision_config=dict(num_heads=4))
    save(path, state_2024(vision, phi, project), dict(model_type="moondream1", **shape), tokenizer)
    question = "What is in the picture?"
    asked = tokenizer.encode(f"\n\nQuestion: {question}\n\nAnswer:").ids
    processor = SiglipImageProcessorPil(size={"height": side, "width": side})
    rows, answers = [], []
    with torch.no_grad():
        for tensor in pixels(processor):
            seen = project(vision(pixel_values=tensor).last_hidden_state)
            words = phi.get_input_embeddings()
            begin = torch.cat([words(torch.tensor([[0]])), seen, words(torch.tensor([asked]))], dim=1)
            made = phi.generate(inputs_embeds=begin, attention_mask=torch.ones(begin.shape[:2], dtype=torch.long),
                                max_new_tokens=TOKENS_MAX, do_sample=False, num_beams=1)[0].tolist()
            rows.append(seen[0, 0])
            answers.append(written(tokenizer, made))
    common.expect(path, made_by=f"transformers {transformers.__version__}", question=question, tokens_max=TOKENS_MAX,
                  rows=rows, ids=[ids for ids, _ in answers], answers=[answer for _, answer in answers])


def tiling(height, width, window, most):
    """How many windows a picture without its margins is cut to, down and across."""
    if height <= window or width <= window:
        return 1, 1
    least_down, least_across = math.ceil(height / window), math.ceil(width / window)
    if least_down * least_across > most:
        ratio = math.sqrt(most / (least_down * least_across))
        return max(1, math.floor(least_down * ratio)), max(1, math.floor(least_across * ratio))
    down = max(least_down, math.floor(math.sqrt(most * height / width)))
    across = max(least_across, math.floor(math.sqrt(most * width / height)))
    if down * across > most:
        if across > down:
            across = most // down
        else:
            down = most // across
    return max(1, down), max(1, across)


def crops(image, grid, patch, margin, most):
    """The whole picture and its overlapping cuts, each of `grid` by `grid` squares; numbers from -1 to 1."""
    window, edge, side = (grid - 2 * margin) * patch, 2 * margin * patch, grid * patch
    down, across = tiling(image.height - edge, image.width - edge, window, most)
    fitted = np.array(image.resize((across * window + edge, down * window + edge), Image.Resampling.LANCZOS))
    cut = [np.array(image.resize((side, side), Image.Resampling.LANCZOS))]
    cut += [fitted[y * window : y * window + side, x * window : x * window + side]
            for y in range(down) for x in range(across)]
    return (torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5, (down, across)


def together(rows, shape, grid, margin):
    """The rows of the cuts as one picture, each square from one of them."""
    down, across = shape
    inner = grid - 2 * margin
    whole = torch.zeros(down * inner + 2 * margin, across * inner + 2 * margin, rows.shape[-1])
    for index, cut in enumerate(rows.view(-1, grid, grid, rows.shape[-1])):
        y, x = divmod(index, across)
        top, left = (0 if y == 0 else margin), (0 if x == 0 else margin)
        bottom, right = grid - (0 if y == down - 1 else margin), grid - (0 if x == across - 1 else margin)
        whole[y * inner + top : y * inner + bottom, x * inner + left : x * inner + right] = cut[top:bottom, left:right]
    return whole


def look(vision, project, image, grid, patch, margin, most):
    pixel_values, shape = crops(image, grid, patch, margin, most)
    rows = vision(pixel_values=pixel_values).last_hidden_state
    whole = together(rows[1:], shape, grid, margin).permute(2, 0, 1)
    pooled = torch.nn.functional.adaptive_avg_pool2d(whole, (grid, grid)).permute(1, 2, 0).reshape(grid * grid, -1)
    return project(torch.cat([rows[0], pooled], dim=-1)), shape


def write(phi, begin, prefix):
    """The likeliest tokens; the first `prefix` places see each other whatever their order."""
    words = phi.get_input_embeddings()
    made = []
    while len(made) < TOKENS_MAX and 0 not in made:
        rows = torch.cat([begin, words(torch.tensor([made], dtype=torch.long))], dim=1)
        sees = torch.tril(torch.ones(rows.shape[1], rows.shape[1], dtype=torch.bool))
        sees[:prefix, :prefix] = True
        mask = torch.zeros(sees.shape).masked_fill(~sees, torch.finfo(torch.float32).min)[None, None]
        made.append(int(phi(inputs_embeds=rows, attention_mask=mask, use_cache=False).logits[0, -1].argmax()))
    return made


def of_2025():
    tokenizer = common.byte_bpe([END])
    grid, patch, margin, most = 5, 6, 1, 9
    vision, phi, project = parts(tokenizer, grid * patch, patch, 128, 48)
    path = common.folder("moondream-2025")
    # The real config has no such keys either.
    shape = dict(text=dict(n_heads=4, max_context=128),
                 vision=dict(enc_n_heads=4, max_crops=most, overlap_margin=margin))
    save(path, state_2025(vision, phi, project), dict(model_type="moondream1", config=shape), tokenizer)
    question = "What is in the picture?"
    asked = {
        "short": tokenizer.encode("\n\nShort caption:").ids,
        "normal": tokenizer.encode("\n\nCaption:").ids,
        "long": tokenizer.encode("\n\nLong caption:").ids,
        "question": tokenizer.encode("\n\nQuestion:").ids + tokenizer.encode(" " + question).ids
        + tokenizer.encode("\n\nAnswer:").ids,
    }
    rows, shapes, answers = [], [], {name: [] for name in asked}
    with torch.no_grad():
        words = phi.get_input_embeddings()
        for image in images():
            seen, shape = look(vision, project, image, grid, patch, margin, most)
            for name, ids in asked.items():
                begin = torch.cat([words(torch.tensor([[0]])), seen[None], words(torch.tensor([ids]))], dim=1)
                answers[name].append(written(tokenizer, write(phi, begin, 1 + len(seen))))
            rows.append(seen.flatten())
            shapes.append(shape)
    sizes = [(h, w) for h in (1, 266, 267, 300, 378, 512, 768, 1024, 1500, 4000) for w in (200, 267, 400, 640, 1024, 2048)]
    common.expect(path, made_by=f"transformers {transformers.__version__}", question=question, tokens_max=TOKENS_MAX,
                  rows=rows, tilings=shapes, ids={name: [ids for ids, _ in made] for name, made in answers.items()},
                  answers={name: [text for _, text in made] for name, made in answers.items()},
                  sizes=[[h, w, *tiling(h, w, 266, 12)] for h, w in sizes])


if __name__ == "__main__":
    for make in (of_2024, of_2025):
        make()
        print(make.__name__, "made")
