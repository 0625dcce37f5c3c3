"""Pre-training of backbones from local corpora. Knows nothing about reinforcement learning."""

from dtclaims.pretrain.corpus import Corpus, Document, read_corpus
from dtclaims.pretrain.language import pretrain_language
from dtclaims.pretrain.network import SCALES, LanguageModel, Scale
from dtclaims.pretrain.sources import SOURCES, Source, fetch_corpus
from dtclaims.pretrain.tokenizer import END_OF_TEXT, encode_documents, load_tokenizer, train_tokenizer

__all__ = [
    "END_OF_TEXT",
    "SCALES",
    "SOURCES",
    "Corpus",
    "Document",
    "LanguageModel",
    "Scale",
    "Source",
    "encode_documents",
    "fetch_corpus",
    "load_tokenizer",
    "pretrain_language",
    "read_corpus",
    "train_tokenizer",
]
