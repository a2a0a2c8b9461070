"""Makes the tiny checkpoints of Stable Diffusion 3 and 3.5 that the tests compare against diffusers.

    python stable3.py ../../crates/loopscope-models/tests/fixtures/diffusion

Writes `schedules-sd3.json` and the checkpoints `sd35` (as 3.5 Medium: dual attention in the first layers, norms of query
and key, three text encoders) and `sd3` (as the first 3 Medium, without those and without T5). What is said of seeds,
rounding and versions in `diffusion.py` holds here too.
"""

import json
import pathlib
import shutil
import sys

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline
from diffusers.models.normalization import AdaLayerNormZero, SD35AdaLayerNormZeroX
from safetensors.torch import load_file, save_file
from transformers import T5Config, T5EncoderModel

from diffusion import (
    NEGATIVE,
    PROMPTS,
    SEED,
    clip_text,
    finish,
    half,
    ids_of,
    louder,
    noise,
    pixels,
    reference_clip,
    reference_vae,
    save,
    schedule_case,
    t5_tokenizer,
    vae,
    write_clip_tokenizer,
)

# Wider than both CLIPs together, as in the real one: their words are filled up with zeros.
JOINT = 40
CHANNELS = 16
WORDS = 256


def schedule_cases():
    """The levels that the scheduler spaces by itself, which this pipeline leaves to it."""
    for steps in (1, 2, 4, 28, 40):
        yield f"flow whole shifted {steps}", FlowMatchEulerDiscreteScheduler(shift=3.0), steps, 256
    yield "flow whole unshifted 4", FlowMatchEulerDiscreteScheduler(shift=1.0), 4, 256
    yield "flow whole dynamic 4", FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True), 4, 1024


def write_schedules(out):
    cases = [schedule_case(index, *case, even=False) for index, case in enumerate(schedule_cases())]
    (out / "schedules-sd3.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


def t5(seed, words):
    torch.manual_seed(seed)
    model = T5EncoderModel(T5Config(vocab_size=words, d_model=JOINT, d_kv=8, d_ff=32, num_layers=2, num_heads=3,
                                    feed_forward_proj="gated-gelu", tie_word_embeddings=False))
    for key, weight in model.named_parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=1.0 if "shared" in key else 0.1)
    return half(model)


def transformer(seed, **config):
    torch.manual_seed(seed)
    model = SD3Transformer2DModel(**{
        "sample_size": 8, "patch_size": 2, "in_channels": CHANNELS, "out_channels": CHANNELS, "attention_head_dim": 8,
        "num_attention_heads": 3, "joint_attention_dim": JOINT, "caption_projection_dim": 24,
        "pooled_projection_dim": 40, "pos_embed_max_size": 14, **config})
    for key, weight in model.named_parameters():
        if "norm_q" in key or "norm_k" in key or "norm_added" in key:
            torch.nn.init.normal_(weight, mean=1.0, std=0.3)
    # What is told of the text would whisper beside the noise.
    model.context_embedder.weight.mul_(4)
    for module in model.modules():
        if isinstance(module, (AdaLayerNormZero, SD35AdaLayerNormZeroX)):
            module.linear.weight.mul_(2)
    # Places are a buffer, and are rounded with the weights when they are saved.
    model.pos_embed.pos_embed.copy_(model.pos_embed.pos_embed.half().float())
    return louder(half(model), "proj_out.weight", 3)


def reference_transformer(model):
    """The transformer on a batch of two, of 3 rows and 7 columns of places."""
    generator = torch.Generator().manual_seed(9)
    sample = torch.randn(2, CHANNELS, 6, 14, generator=generator)
    words, pooled = torch.randn(2, 10, JOINT, generator=generator), torch.randn(2, 40, generator=generator)
    tensors = {"mmdit.sample": sample, "mmdit.text": words, "mmdit.pooled": pooled}
    for timestep in (1000, 321.5, 8.9):
        tensors[f"mmdit.out.{timestep}"] = model(
            hidden_states=sample, encoder_hidden_states=words, pooled_projections=pooled,
            timestep=torch.tensor([float(timestep)] * 2)).sample
    return tensors


def decoder_only(path):
    """Leaves out the half of an autoencoder that a painter does not read."""
    kept = {key: value for key, value in load_file(path).items() if not key.startswith("encoder.")}
    save_file(kept, path, metadata={"format": "pt"})


def write(out, name, denoiser, with_t5, runs):
    print(name)
    directory = out / name
    shutil.rmtree(directory, ignore_errors=True)
    first = write_clip_tokenizer(directory / "tokenizer", "<|endoftext|>")
    second = write_clip_tokenizer(directory / "tokenizer_2", "!")
    text = clip_text(1, projected=True, hidden_act="quick_gelu")
    text2 = clip_text(4, projected=True, hidden_act="gelu", projection_dim=24)
    third = t5_tokenizer(directory / "tokenizer_3") if with_t5 else None
    text3 = t5(7, len(third)) if with_t5 else None
    decoder = vae(3, latent_channels=CHANNELS, use_quant_conv=False, use_post_quant_conv=False, scaling_factor=1.5305,
                  shift_factor=0.0609)
    pipeline = StableDiffusion3Pipeline(
        transformer=denoiser, scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0), vae=decoder, text_encoder=text,
        tokenizer=first, text_encoder_2=text2, tokenizer_2=second, text_encoder_3=text3, tokenizer_3=third)
    pipeline.set_progress_bar_config(disable=True)
    tensors = reference_clip("clip", first, text) | reference_clip("clip2", second, text2)
    if with_t5:
        ids = ids_of(third, WORDS)
        tensors |= {"t5.ids": ids, "t5.out": text3(ids[:1])[0]}
    tensors |= reference_transformer(denoiser) | reference_vae(decoder)
    for run, (prompt, (height, width), steps, guidance, negative, more) in runs.items():
        pipeline.register_modules(text_encoder_3=None if more == "none" else text3)
        tensors[f"pixels.{run}"] = pixels(
            pipeline, prompt=prompt, height=height, width=width, num_inference_steps=steps, guidance_scale=guidance,
            negative_prompt=negative, latents=noise(SEED, 0, (1, CHANNELS, height // 2, width // 2)),
            max_sequence_length=more if isinstance(more, int) else WORDS)
    pipeline.register_modules(text_encoder_3=text3)
    parts = [(text, "text_encoder"), (text2, "text_encoder_2"), (denoiser, "transformer"), (decoder, "vae")]
    for model, part in parts + ([(text3, "text_encoder_3")] if with_t5 else []):
        save(model, directory / part)
    decoder_only(directory / "vae/diffusion_pytorch_model.safetensors")
    finish(directory, pipeline, tensors)


def main():
    out = pathlib.Path(sys.argv[1])
    torch.set_grad_enabled(False)
    write_schedules(out)
    write(out, "sd35", transformer(8, num_layers=3, dual_attention_layers=(0, 1), qk_norm="rms_norm"), True, {
        "guided": (PROMPTS[0], (32, 48), 5, 4.5, None, None),
        "negative": (PROMPTS[1], (32, 32), 4, 3.0, NEGATIVE, None),
        "unguided": (PROMPTS[2], (32, 32), 3, 1.0, None, None),
        "short": (PROMPTS[3], (48, 32), 3, 4.5, None, 20),
        "without": (PROMPTS[0], (32, 32), 3, 4.5, NEGATIVE, "none")})
    write(out, "sd3", transformer(18, num_layers=2), False, {
        "guided": (PROMPTS[0], (32, 48), 5, 7.0, None, None),
        "one": (PROMPTS[1], (32, 32), 1, 0.0, None, None)})


if __name__ == "__main__":
    main()
