"""Pre-training of backbones on local corpora or synthetic tokens. Knows nothing about reinforcement learning."""

from dtclaims.lab.pretrain.chains import Chain, make_chain
from dtclaims.lab.pretrain.corpus import Corpus, Document, read_corpus
from dtclaims.lab.pretrain.image import pretrain_image
from dtclaims.lab.pretrain.image_sources import IMAGE_SOURCES, ImageSource, fetch_photographs
from dtclaims.lab.pretrain.language import pretrain_language
from dtclaims.lab.pretrain.network import IMAGE_SCALES, SCALES, SYNTHETIC_SCALES, ImageModel, LanguageModel, Scale
from dtclaims.lab.pretrain.photographs import Photograph, read_photographs
from dtclaims.lab.pretrain.sources import SOURCES, Source, fetch_corpus
from dtclaims.lab.pretrain.synthetic import pretrain_synthetic
from dtclaims.lab.pretrain.tokenizer import END_OF_TEXT, encode_documents, load_tokenizer, train_tokenizer

__all__ = [
    "END_OF_TEXT",
    "IMAGE_SCALES",
    "IMAGE_SOURCES",
    "SCALES",
    "SOURCES",
    "SYNTHETIC_SCALES",
    "Chain",
    "Corpus",
    "Document",
    "ImageModel",
    "ImageSource",
    "LanguageModel",
    "Photograph",
    "Scale",
    "Source",
    "encode_documents",
    "fetch_corpus",
    "fetch_photographs",
    "load_tokenizer",
    "make_chain",
    "pretrain_image",
    "pretrain_language",
    "pretrain_synthetic",
    "read_corpus",
    "read_photographs",
    "train_tokenizer",
]
