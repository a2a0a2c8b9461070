"""Image embedders and BLIP: tiny checkpoints and what transformers gives for the same pictures."""

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


if __name__ == "__main__":
    common.save_pictures()
    for make in (clip, siglip, dinov2, blip):
        make()
        print(make.__name__, "made")
