"""Pillow's resampling of one picture to several sizes, as hashes of the pixels: ours is to be equal to the byte."""

import hashlib

import PIL
from PIL import Image

import common

SIZES = [(32, 32), (17, 90), (224, 224), (48, 48), (5, 3), (90, 13), (1, 1)]
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS}

if __name__ == "__main__":
    cases = []
    for index in range(4):
        picture = Image.open(common.ROOT / "pictures" / f"{index}.png")
        for width, height in SIZES:
            for name, resample in FILTERS.items():
                made = picture.resize((width, height), resample).tobytes()
                cases.append(dict(picture=index, width=width, height=height, filter=name, sum=sum(made),
                                  sha256=hashlib.sha256(made).hexdigest(), first=list(made[:6])))
    common.expect(common.ROOT / "pictures", made_by=f"Pillow {PIL.__version__}", cases=cases)
