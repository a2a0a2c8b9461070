"""Makes the tiny checkpoint of Z-Image that the tests compare against diffusers.

    python zimage.py ../../crates/loopscope-models/tests/fixtures/diffusion

Writes `z-image` in the layout that is published, with random weights and `reference.safetensors`: token ids, the text
encoder's rows, the transformer's answers, pixels. Noise, prompts and the autoencoder are those of `diffusion.py`, which
says how weights are rounded and what this was made with.

Two things differ from a published checkpoint, and neither can be seen from outside. The hidden layer of the timestep
has 64 rows and not 1024, which no config says and which would be most of the file. The chat template says what that of
Qwen3 (`tokenizer_config.json` of Qwen/Qwen3-4B, whose tokenizer Z-Image has) says of user and system messages, of the
turn of the assistant and of thinking; what it says of tools is left out.
"""

import pathlib
import sys

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel
from diffusers.models.transformers.transformer_z_image import TimestepEmbedder
from transformers import Qwen2Tokenizer, Qwen3Config, Qwen3Model

from diffusion import NEGATIVE, PROMPTS, SEED, byte_alphabet, finish, half, noise, pixels, prefix_keys, reference_vae, save, vae

LENGTH = 512
MERGES = ["t h", "th e", "Ġ the", "o n", "Ġ on", "Ġ a", "r e", "re d", "Ġ red", "c i", "ci r", "c l", "cl e", "cir cle",
          "Ġ circle", "b l", "bl u", "blu e", "Ġ blue", "w o", "wo r", "wor d", "Ċ Ċ", "' ve", "u s", "us er", "e r"]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}"
    "{{- '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}"
    "{%- endif %}"
)


def tokenizer_of(directory):
    letters = byte_alphabet()
    words = letters + list(dict.fromkeys(merge.replace(" ", "") for merge in MERGES)) + SPECIAL
    pieces = set(words)
    merges = [tuple(merge.split()) for merge in MERGES if set(merge.split()) <= pieces]
    tokenizer = Qwen2Tokenizer(vocab={word: index for index, word in enumerate(words)}, merges=merges,
                               extra_special_tokens=SPECIAL[1:], chat_template=TEMPLATE, model_max_length=131072)
    tokenizer.save_pretrained(directory)
    return tokenizer


def lively(model, seed):
    """Random weights of a size that makes every part count: initial ones leave norms at one and pad tokens at zero."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in sorted(model.named_parameters()):
        values = torch.randn(weight.shape, generator=generator)
        if weight.dim() == 1 and "norm" in name or name == "cap_embedder.0.weight":
            values = 1 + 0.3 * values
        elif "pad_token" in name or "embed_tokens" in name:
            pass
        elif weight.dim() == 1:
            values = 0.2 * values
        else:
            values = values * 1.3 * weight.shape[1] ** -0.5
        weight.copy_(values)
    return half(model)


def text_encoder(size):
    # As in the published one, the heads together are wider than a row.
    return lively(Qwen3Model(Qwen3Config(
        vocab_size=size, hidden_size=24, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
        intermediate_size=40, max_position_embeddings=40960, rms_norm_eps=1e-6, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000})), 11)


def transformer():
    model = ZImageTransformer2DModel(
        in_channels=16, dim=32, n_layers=2, n_refiner_layers=2, n_heads=2, n_kv_heads=2, cap_feat_dim=24,
        axes_dims=[4, 6, 6], axes_lens=[600, 64, 64])
    model.t_embedder = TimestepEmbedder(32, mid_size=64)
    return lively(model, 12)


def reference_text(pipeline):
    tensors = {}
    for index, prompt in enumerate(PROMPTS):
        text = pipeline.tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True, enable_thinking=True)
        ids = pipeline.tokenizer(text, max_length=LENGTH, truncation=True, return_tensors="pt").input_ids
        tensors[f"z.ids.{index}"] = ids
        rows = pipeline._encode_prompt(prompt, max_sequence_length=LENGTH)[0]
        assert len(rows) == ids.shape[1], "padding changes nothing"
        if index < 3:
            tensors[f"z.rows.{index}"] = rows
        print(f"  prompt {index}: {ids.shape[1]} tokens")
    return tensors


def reference_transformer(model):
    """Rows and columns of latents, words and time: with filling on both sides, on neither, and on one."""
    generator = torch.Generator().manual_seed(13)
    tensors = {}
    for name, (rows, columns, words, time) in {
            "both": (10, 14, 10, 0.0), "neither": (8, 16, 32, 0.6783), "text": (16, 8, 45, 0.97)}.items():
        sample = torch.randn(1, 16, rows, columns, generator=generator)
        text = torch.randn(words, 24, generator=generator)
        out = model([sample[0].unsqueeze(1)], torch.tensor([time]), [text]).sample[0]
        tensors |= {f"z.sample.{name}": sample, f"z.text.{name}": text, f"z.out.{name}": out.squeeze(1).unsqueeze(0)}
        print(f"  transformer {name}: deviation {out.std():.2f}")
    return tensors


def main():
    out = pathlib.Path(sys.argv[1])
    torch.set_grad_enabled(False)
    directory = out / "z-image"
    tokenizer = tokenizer_of(directory / "tokenizer")
    text, denoiser = text_encoder(len(tokenizer)), transformer()
    decoder = vae(3, latent_channels=16, use_quant_conv=False, use_post_quant_conv=False, scaling_factor=0.3611,
                  shift_factor=0.1159)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=False)
    pipeline = ZImagePipeline(scheduler=scheduler, vae=decoder, text_encoder=text, tokenizer=tokenizer,
                              transformer=denoiser)
    pipeline.set_progress_bar_config(disable=True)
    tensors = reference_text(pipeline) | reference_transformer(denoiser) | reference_vae(decoder)
    runs = {"turbo": (PROMPTS[0], (32, 48), 8, 0.0, None, 512), "guided": (PROMPTS[1], (48, 16), 4, 4.0, NEGATIVE, 512),
            "against": (PROMPTS[0], (16, 48), 3, 0.75, None, 512), "cut": (PROMPTS[3], (32, 16), 2, 0.0, None, 50)}
    for run, (prompt, (height, width), steps, guidance, negative, length) in runs.items():
        tensors[f"pixels.{run}"] = pixels(
            pipeline, prompt=prompt, height=height, width=width, num_inference_steps=steps, guidance_scale=guidance,
            negative_prompt=negative, latents=noise(SEED, 0, (1, 16, height // 2, width // 2)),
            max_sequence_length=length)
    save(text, directory / "text_encoder")
    # As published: the keys of a language model, and the transformer in shards.
    prefix_keys(directory / "text_encoder/model.safetensors", "model.", ("embed_tokens", "layers", "norm"))
    denoiser.half().save_pretrained(directory / "transformer", max_shard_size="120KB")
    save(decoder, directory / "vae")
    finish(directory, pipeline, tensors)


if __name__ == "__main__":
    main()
