"""Makes the tiny checkpoints of text-to-image models that the tests compare against diffusers.

    python diffusion.py ../../crates/loopscope-models/tests/fixtures/diffusion

Writes `schedules.json` (timesteps and steps of diffusers' schedulers), `noise.json` (the numbers of our own noise, from
an implementation that shares no code with the one under test), and one directory per checkpoint in the layout that is
published, with random weights and `reference.safetensors`: what Python computes with them, part by part and from prompt
to pixels. Weights are rounded to half precision before anything is computed, so that the files are small and still
exact in single precision. Everything is drawn from fixed seeds; the same versions give the same files.

Made with torch 2.15.0, transformers 5.23.0, diffusers 0.42.1, tokenizers 0.23.3 (pip install torch transformers
diffusers sentencepiece; importlib_metadata and requests if diffusers asks for them).
"""

import json
import math
import pathlib
import struct
import sys

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.pipelines.flux.pipeline_flux import calculate_shift
from diffusers.schedulers import scheduling_euler_ancestral_discrete
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

PROMPTS = [
    "A small red circle at the left, on a blue background!",
    "Ünïcode & 3 dogs' toys; they've\tbeen   here  — a PHOTO of a café, 1999",
    "",
    " ".join(f"word{index} of a very long sentence" for index in range(30)),
]
NEGATIVE = "blurry, grey"
SEED = 20


# --- noise -----------------------------------------------------------------------------------------------------------


def chacha20_words(key, stream, count):
    """The key stream of ChaCha20 with a 64-bit counter and a 64-bit nonce, as 32-bit words."""
    words = []
    constants = struct.unpack("<4I", b"expand 32-byte k")
    keys = struct.unpack("<8I", key)
    for counter in range(-(-count // 16)):
        state = [*constants, *keys, counter & 0xFFFFFFFF, counter >> 32, stream & 0xFFFFFFFF, stream >> 32]
        x = list(state)

        def quarter(a, b, c, d):
            for first, second, third, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                x[first] = (x[first] + x[second]) & 0xFFFFFFFF
                mixed = x[third] ^ x[first]
                x[third] = ((mixed << turn) | (mixed >> (32 - turn))) & 0xFFFFFFFF

        for _ in range(10):
            for column in range(4):
                quarter(column, 4 + column, 8 + column, 12 + column)
            for column in range(4):
                quarter(column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4)
        words += [(a + b) & 0xFFFFFFFF for a, b in zip(x, state)]
    return words[:count]


def normals(seed, stream, count):
    """Our noise: stream 0 is the first sample of a picture, stream k + 1 the noise after step k."""
    key = struct.pack("<Q", seed) + bytes(4) + b"loopscope noise v1\0\0"
    pairs = -(-count // 2)
    words = chacha20_words(key, stream, pairs * 4)
    numbers = []
    for index in range(pairs):
        first, second = (words[4 * index + at] | words[4 * index + at + 1] << 32 for at in (0, 2))
        radius = math.sqrt(-2 * math.log(((first >> 11) + 1) * 2.0**-53))
        angle = (second >> 11) * 2.0**-53 * math.tau
        numbers += [radius * math.cos(angle), radius * math.sin(angle)]
    return np.array(numbers[:count], dtype=np.float32)


def noise(seed, stream, shape):
    return torch.from_numpy(normals(seed, stream, math.prod(shape)).reshape(shape))


class OurNoise:
    """Stands in for the generator of the ancestral scheduler: the k-th draw is our k-th step."""

    def __init__(self, seed):
        self.seed = seed

    def __enter__(self):
        self.original = scheduling_euler_ancestral_discrete.randn_tensor
        self.step = 0

        def draw(shape, **_):
            self.step += 1
            return noise(self.seed, self.step, tuple(shape))

        scheduling_euler_ancestral_discrete.randn_tensor = draw

    def __exit__(self, *_):
        scheduling_euler_ancestral_discrete.randn_tensor = self.original


def write_noise(out):
    cases = [{"seed": seed, "stream": stream, "numbers": normals(seed, stream, 35).tolist()}
             for seed, stream in ((0, 0), (1, 0), (1, 1), (1, 7), (2**64 - 1, 0))]
    (out / "noise.json").write_text(json.dumps(cases))


# --- schedulers ------------------------------------------------------------------------------------------------------

SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}


def schedule_cases():
    for spacing in ("leading", "trailing", "linspace"):
        for prediction in ("epsilon", "v_prediction"):
            shared = {**SD, "timestep_spacing": spacing, "prediction_type": prediction, "steps_offset": 1}
            for steps in (1, 4, 20):
                yield f"pndm {spacing} {prediction} {steps}", PNDMScheduler(
                    **shared, skip_prk_steps=True, set_alpha_to_one=steps == 4), steps, 0
                yield f"ddim {spacing} {prediction} {steps}", DDIMScheduler(
                    **shared, clip_sample=False, set_alpha_to_one=steps == 4), steps, 0
                yield f"euler {spacing} {prediction} {steps}", EulerDiscreteScheduler(**shared), steps, 0
                yield f"ancestral {spacing} {prediction} {steps}", EulerAncestralDiscreteScheduler(**shared), steps, 0
    yield "euler linear betas epsilon", EulerDiscreteScheduler(beta_schedule="linear"), 5, 0
    for steps in (1, 4, 20):
        yield f"flow schnell {steps}", FlowMatchEulerDiscreteScheduler(shift=1.0), steps, 256
        yield f"flow shifted {steps}", FlowMatchEulerDiscreteScheduler(shift=3.0), steps, 256
        for tokens in (256, 4096):
            yield f"flow dev {steps} {tokens}", FlowMatchEulerDiscreteScheduler(
                shift=3.0, use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15), steps, tokens


def schedule_case(seed, name, scheduler, steps, tokens, even=True):
    """One walk of a scheduler; `even` levels down to 1 / steps are what FLUX.1's pipeline passes to it."""
    config = {key: value for key, value in scheduler.config.items()
              if not key.startswith("_") or key == "_class_name"}
    config["_class_name"] = type(scheduler).__name__
    if isinstance(scheduler, FlowMatchEulerDiscreteScheduler):
        mu = calculate_shift(tokens, scheduler.config.base_image_seq_len, scheduler.config.max_image_seq_len,
                             scheduler.config.base_shift, scheduler.config.max_shift)
        if even:
            scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=mu)
        else:
            scheduler.set_timesteps(steps, mu=mu)
        initial = 1.0
    else:
        scheduler.set_timesteps(steps)
        initial = float(scheduler.init_noise_sigma)
    generator = torch.Generator().manual_seed(seed)
    sample = noise(0, 0, (2,)) * initial
    inputs, outputs = [], []
    with OurNoise(0):
        for timestep in scheduler.timesteps:
            seen = sample if isinstance(scheduler, FlowMatchEulerDiscreteScheduler) else \
                scheduler.scale_model_input(sample, timestep)
            output = torch.randn(2, generator=generator)
            sample = scheduler.step(output, timestep, sample).prev_sample
            inputs.append(seen.tolist())
            outputs.append(output.tolist())
    return {"name": name, "config": config, "steps": steps, "tokens": tokens, "initial_scale": initial,
            "timesteps": [float(t) for t in scheduler.timesteps], "inputs": inputs, "outputs": outputs,
            "last": sample.tolist()}


def write_schedules(out):
    cases = [schedule_case(index, *case) for index, case in enumerate(schedule_cases())]
    (out / "schedules.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


# --- parts of tiny checkpoints ---------------------------------------------------------------------------------------


def byte_alphabet():
    """The 256 letters that stand for bytes in a byte-level vocabulary, in the published order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]


MERGES = ["t h", "th e</w>", "o f</w>", "a n", "an d</w>", "r e", "re d</w>", "c i", "ci r", "c l", "cl e</w>", "cir cle</w>",
          "o n</w>", "b l", "bl u", "blu e</w>", "g r", "gr o", "gro u", "grou n", "groun d</w>", "w o", "r d", "wo rd",
          "' s</w>", "v e</w>", "' ve</w>", "i n", "l o", "lo n", "lon g</w>"]


def clip_vocabulary():
    letters = byte_alphabet()
    words = letters + [letter + "</w>" for letter in letters] + [merge.replace(" ", "") for merge in MERGES]
    words += ["<|startoftext|>", "<|endoftext|>"]
    return {word: index for index, word in enumerate(words)}


def write_clip_tokenizer(directory, pad):
    """Writes a CLIP tokenizer in the files that the published pipelines have, and returns it."""
    directory.mkdir(parents=True)
    vocabulary = clip_vocabulary()
    (directory / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    (directory / "merges.txt").write_text("#version: 0.2\n" + "\n".join(MERGES) + "\n")
    (directory / "special_tokens_map.json").write_text(json.dumps({
        "bos_token": {"content": "<|startoftext|>"}, "eos_token": {"content": "<|endoftext|>"}, "pad_token": pad,
        "unk_token": {"content": "<|endoftext|>"}}))
    (directory / "tokenizer_config.json").write_text(json.dumps({
        "model_max_length": 77, "pad_token": pad, "tokenizer_class": "CLIPTokenizer"}))
    return CLIPTokenizer(vocab=vocabulary, merges=[tuple(merge.split()) for merge in MERGES], pad_token=pad,
                         model_max_length=77)


def half(model):
    """Rounds the weights to half precision and keeps computing in single precision."""
    model = model.eval().requires_grad_(False)
    for tensor in model.parameters():
        tensor.copy_(tensor.half().float())
    return model


def louder(model, name, factor):
    """Makes a random model say something: its last layer would whisper."""
    weights = dict(model.named_parameters())
    weights[name].mul_(factor)
    return half(model)


def clip_text(seed, projected=False, **config):
    torch.manual_seed(seed)
    size = len(clip_vocabulary())
    config = CLIPTextConfig(**{
        "vocab_size": size, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3,
        "num_attention_heads": 2, "max_position_embeddings": 77, "projection_dim": 16, "bos_token_id": size - 2,
        "eos_token_id": size - 1, "pad_token_id": size - 1, **config})
    model = (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)
    for name, weight in model.named_parameters():
        if "embedding" in name or "proj" in name or "fc" in name:
            torch.nn.init.normal_(weight, std=0.2 if weight.dim() > 1 else 0.1)
    return half(model)


def unet(seed, **config):
    torch.manual_seed(seed)
    model = UNet2DConditionModel(**{
        "sample_size": 16, "in_channels": 4, "out_channels": 4, "block_out_channels": (8, 16), "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"), "attention_head_dim": 2, "cross_attention_dim": 16,
        "norm_num_groups": 4, **config})
    return louder(half(model), "conv_out.weight", 3)


def vae(seed, latent_channels=4, **config):
    torch.manual_seed(seed)
    model = AutoencoderKL(**{
        "block_out_channels": (8, 16), "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2, "layers_per_block": 1, "latent_channels": latent_channels,
        "norm_num_groups": 4, "sample_size": 32, **config})
    return half(model)


def save(model, directory):
    """Saves weights in half precision, as published files do."""
    model.half().save_pretrained(directory)
    model.float()


def prefix_keys(path, prefix, of):
    """Gives keys the names of earlier versions."""
    tensors = {(prefix + key if key.startswith(of) else key): value for key, value in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})


def old_attention_names(path):
    """Gives the autoencoder's attention the names of the first published files, as convolutions of 1 x 1."""
    renamed = {}
    for key, value in load_file(path).items():
        for new, old in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
            if f"attentions.0.{new}." in key:
                key = key.replace(new, old)
                value = value[:, :, None, None] if value.dim() == 2 else value
        renamed[key] = value.contiguous()
    save_file(renamed, path, metadata={"format": "pt"})


def ids_of(tokenizer, length):
    return torch.stack([tokenizer(prompt, padding="max_length", max_length=length, truncation=True,
                                  return_tensors="pt").input_ids[0] for prompt in PROMPTS])


def reference_clip(prefix, tokenizer, encoder):
    ids = ids_of(tokenizer, 77)
    out = encoder(ids[:2], output_hidden_states=True)
    pooled = out.text_embeds if hasattr(out, "text_embeds") else out.pooler_output
    return {f"{prefix}.ids": ids, f"{prefix}.last": out.last_hidden_state,
            f"{prefix}.penultimate": out.hidden_states[-2], f"{prefix}.pooled": pooled}


def reference_unet(model, width, added=None):
    generator = torch.Generator().manual_seed(5)
    sample = torch.randn(2, 4, 9, 14, generator=generator)
    text = torch.randn(2, 77, width, generator=generator)
    tensors = {"unet.sample": sample, "unet.text": text}
    arguments = {}
    if added:
        pooled = torch.randn(2, added, generator=generator)
        sizes = torch.tensor([[32.0, 48, 0, 0, 32, 48], [16.0, 16, 3, 1, 64, 64]])
        tensors |= {"unet.pooled": pooled, "unet.sizes": sizes}
        arguments = {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": sizes}}
    for timestep in (999, 321.5, 1):
        out = model(sample, torch.tensor(float(timestep)), text, **arguments).sample
        tensors[f"unet.out.{timestep}"] = out
    return tensors


def reference_vae(model):
    generator = torch.Generator().manual_seed(6)
    latents = torch.randn(1, model.config.latent_channels, 16, 12, generator=generator) * 2
    scaled = latents / model.config.scaling_factor + (model.config.shift_factor or 0)
    return {"vae.latents": latents, "vae.out": model.decode(scaled).sample}


def pixels(pipeline, **arguments):
    """The picture of a pipeline as 8-bit pixels; says how varied it is, since a grey one would prove nothing."""
    picture = np.asarray(pipeline(output_type="pil", num_images_per_prompt=1, **arguments).images[0])
    print(f"  picture {picture.shape}: mean {picture.mean():.1f}, deviation {picture.std():.1f}")
    return torch.from_numpy(picture.copy())


def finish(directory, pipeline, tensors):
    index = {key: value for key, value in pipeline.config.items() if key not in ("_name_or_path",)}
    (directory / "model_index.json").write_text(json.dumps(index, indent=2, sort_keys=True))
    pipeline.scheduler.save_pretrained(directory / "scheduler")
    save_file({key: value.contiguous() for key, value in tensors.items()}, directory / "reference.safetensors")


# --- whole pipelines -------------------------------------------------------------------------------------------------


def stable_diffusion(out, name, scheduler, pad, clip, unet_config, runs):
    print(name)
    directory = out / name
    tokenizer = write_clip_tokenizer(directory / "tokenizer", pad)
    text, denoiser, decoder = clip_text(1, **clip), unet(2, **unet_config), vae(3)
    pipeline = StableDiffusionPipeline(vae=decoder, text_encoder=text, tokenizer=tokenizer, unet=denoiser,
                                       scheduler=scheduler, safety_checker=None, feature_extractor=None,
                                       requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    tensors = reference_clip("clip", tokenizer, text) | reference_unet(denoiser, 16) | reference_vae(decoder)
    for run, (prompt, size, steps, guidance, negative) in runs.items():
        height, width = size
        latents = noise(SEED, 0, (1, 4, height // 2, width // 2))
        with OurNoise(SEED):
            tensors[f"pixels.{run}"] = pixels(pipeline, prompt=prompt, height=height, width=width, latents=latents,
                                              num_inference_steps=steps, guidance_scale=guidance,
                                              negative_prompt=negative)
    for model, part in ((text, "text_encoder"), (denoiser, "unet"), (decoder, "vae")):
        save(model, directory / part)
    finish(directory, pipeline, tensors)
    return directory


def write_sd(out):
    first = stable_diffusion(
        out, "sd15", PNDMScheduler(**SD, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1),
        "<|endoftext|>", {"hidden_act": "quick_gelu"}, {},
        {"guided": (PROMPTS[0], (32, 48), 5, 7.5, None), "negative": (PROMPTS[1], (32, 32), 4, 3.0, NEGATIVE),
         "unguided": (PROMPTS[2], (32, 32), 3, 1.0, None)})
    # As the first files were: keys of transformers 4, old names in the autoencoder, an end of text of 2.
    prefix_keys(first / "text_encoder/model.safetensors", "text_model.", ("embeddings", "encoder", "final_layer_norm"))
    old_attention_names(first / "vae/diffusion_pytorch_model.safetensors")
    config = json.loads((first / "text_encoder/config.json").read_text())
    (first / "text_encoder/config.json").write_text(json.dumps(config | {"eos_token_id": 2}, indent=2, sort_keys=True))
    wider = {"attention_head_dim": (2, 4), "use_linear_projection": True}
    stable_diffusion(
        out, "sd21", DDIMScheduler(**SD, clip_sample=False, set_alpha_to_one=False, steps_offset=1,
                                   prediction_type="v_prediction"),
        "!", {"hidden_act": "gelu"}, wider, {"guided": (PROMPTS[0], (32, 32), 5, 5.0, None)})
    stable_diffusion(
        out, "sd-turbo", EulerDiscreteScheduler(**SD, timestep_spacing="trailing"), "!", {"hidden_act": "gelu"}, wider,
        {"one": (PROMPTS[0], (32, 32), 1, 0.0, None), "four": (PROMPTS[1], (32, 32), 4, 0.0, None)})


def write_sdxl(out):
    print("sdxl-turbo")
    directory = out / "sdxl-turbo"
    first = write_clip_tokenizer(directory / "tokenizer", "<|endoftext|>")
    second = write_clip_tokenizer(directory / "tokenizer_2", "!")
    text, text2 = clip_text(1, hidden_act="quick_gelu"), clip_text(4, projected=True, hidden_act="gelu", projection_dim=24)
    denoiser = unet(2, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
                    up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), attention_head_dim=(2, 4),
                    transformer_layers_per_block=(1, 2), cross_attention_dim=32, use_linear_projection=True,
                    addition_embed_type="text_time", addition_time_embed_dim=8,
                    projection_class_embeddings_input_dim=24 + 6 * 8)
    decoder = vae(3, scaling_factor=0.13025, force_upcast=True)
    scheduler = EulerAncestralDiscreteScheduler(**SD, timestep_spacing="trailing", steps_offset=1)
    pipeline = StableDiffusionXLPipeline(
        vae=decoder, text_encoder=text, text_encoder_2=text2, tokenizer=first, tokenizer_2=second, unet=denoiser,
        scheduler=scheduler, add_watermarker=False)
    pipeline.set_progress_bar_config(disable=True)
    tensors = reference_clip("clip", first, text) | reference_clip("clip2", second, text2)
    tensors |= reference_unet(denoiser, 32, added=24) | reference_vae(decoder)
    runs = {"turbo": (PROMPTS[0], (32, 48), 4, 0.0, None), "guided": (PROMPTS[1], (32, 32), 3, 5.0, NEGATIVE),
            "zeros": (PROMPTS[0], (32, 32), 3, 5.0, None)}
    for run, (prompt, (height, width), steps, guidance, negative) in runs.items():
        with OurNoise(SEED):
            tensors[f"pixels.{run}"] = pixels(
                pipeline, prompt=prompt, height=height, width=width, num_inference_steps=steps,
                guidance_scale=guidance, negative_prompt=negative,
                latents=noise(SEED, 0, (1, 4, height // 2, width // 2)))
    for model, part in ((text, "text_encoder"), (text2, "text_encoder_2"), (denoiser, "unet"), (decoder, "vae")):
        save(model, directory / part)
    finish(directory, pipeline, tensors)


def t5_tokenizer(directory):
    """A unigram tokenizer in the one file that FLUX.1 has for it."""
    words = ["▁", "▁a", "▁of", "▁red", "▁circle", "▁on", "▁blue", "▁back", "ground", "▁small", "▁the", "▁left", "▁word",
             "▁very", "▁long", "ed", "er", "in", "ing", "s", "!", ",", "'", ";"]
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)] + [str(digit) for digit in range(10)] + list("ACHOPTU&")
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocabulary += [(word, -2.0 - index * 0.01) for index, word in enumerate(words)]
    vocabulary += [(letter, -6.0 - index * 0.01) for index, letter in enumerate(letters)]
    tokenizer = T5Tokenizer(vocab=vocabulary, extra_ids=0, model_max_length=512)
    tokenizer.save_pretrained(directory)
    return tokenizer


def write_flux(out, name, dev):
    print(name)
    directory = out / name
    tokenizer = write_clip_tokenizer(directory / "tokenizer", "<|endoftext|>")
    tokenizer2 = t5_tokenizer(directory / "tokenizer_2")
    text = clip_text(1, hidden_act="quick_gelu")
    torch.manual_seed(7)
    text2 = T5EncoderModel(T5Config(vocab_size=len(tokenizer2), d_model=24, d_kv=8, d_ff=32, num_layers=2, num_heads=3,
                                    feed_forward_proj="gated-gelu", tie_word_embeddings=False))
    for key, weight in text2.named_parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=1.0 if "shared" in key else 0.1)
    text2 = half(text2)
    torch.manual_seed(8)
    denoiser = louder(half(FluxTransformer2DModel(
        in_channels=16, num_layers=2, num_single_layers=2, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=24, pooled_projection_dim=16, guidance_embeds=dev, axes_dims_rope=(4, 6, 6))),
        "proj_out.weight", 3)
    for key, weight in denoiser.named_parameters():
        if "norm_q" in key or "norm_k" in key or "norm_added" in key:
            torch.nn.init.normal_(weight, mean=1.0, std=0.3)
    denoiser = half(denoiser)
    decoder = vae(3, use_quant_conv=False, use_post_quant_conv=False, scaling_factor=0.3611, shift_factor=0.1159)
    scheduler = FlowMatchEulerDiscreteScheduler(
        shift=3.0 if dev else 1.0, use_dynamic_shifting=dev, base_shift=0.5, max_shift=1.15)
    pipeline = FluxPipeline(scheduler=scheduler, vae=decoder, text_encoder=text, tokenizer=tokenizer,
                            text_encoder_2=text2, tokenizer_2=tokenizer2, transformer=denoiser)
    pipeline.set_progress_bar_config(disable=True)
    length = 512 if dev else 256
    ids = ids_of(tokenizer2, length)
    tensors = reference_clip("clip", tokenizer, text)
    tensors |= {"t5.ids": ids, "t5.out": text2(ids[:1])[0]}
    generator = torch.Generator().manual_seed(9)
    sample, words = torch.randn(1, 24, 16, generator=generator), torch.randn(1, 10, 24, generator=generator)
    pooled = torch.randn(1, 16, generator=generator)
    places = FluxPipeline._prepare_latent_image_ids(1, 4, 6, "cpu", torch.float32)
    guidance = torch.tensor([3.5]) if dev else None
    tensors |= {"flux.sample": sample, "flux.text": words, "flux.pooled": pooled}
    for timestep in (1.0, 0.3217):
        tensors[f"flux.out.{timestep}"] = denoiser(
            hidden_states=sample, encoder_hidden_states=words, pooled_projections=pooled,
            timestep=torch.tensor([timestep]), img_ids=places, txt_ids=torch.zeros(10, 3), guidance=guidance).sample
    tensors |= reference_vae(decoder)
    runs = {"first": (PROMPTS[0], (32, 48), 4), "second": (PROMPTS[1], (32, 32), 3)}
    for run, (prompt, (height, width), steps) in runs.items():
        latents = noise(SEED, 0, (1, 4, height // 2, width // 2))
        packed = FluxPipeline._pack_latents(latents, 1, 4, height // 2, width // 2)
        tensors[f"pixels.{run}"] = pixels(
            pipeline, prompt=prompt, height=height, width=width, num_inference_steps=steps, guidance_scale=3.5,
            latents=packed, max_sequence_length=length)
    for model, part in ((text, "text_encoder"), (text2, "text_encoder_2"), (denoiser, "transformer"), (decoder, "vae")):
        save(model, directory / part)
    finish(directory, pipeline, tensors)


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    torch.set_grad_enabled(False)
    write_noise(out)
    write_schedules(out)
    write_sd(out)
    write_sdxl(out)
    write_flux(out, "flux-schnell", dev=False)
    write_flux(out, "flux-dev", dev=True)


if __name__ == "__main__":
    main()
