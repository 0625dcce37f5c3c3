"""The Decision Transformer, its arms, and what is read out of it."""

from dtclaims.models.arms import Architecture, build_model, stack_config
from dtclaims.models.backbones import Backbone, load_backbone
from dtclaims.models.capture import (
    DISTINCT_POINTS,
    PUBLISHED_POINTS,
    RESIDUAL_POINTS,
    capture,
    queries_and_keys,
)
from dtclaims.models.decision_transformer import DecisionTransformer, Head
from dtclaims.models.transformer import Block, Stack, StackConfig

__all__ = [
    "DISTINCT_POINTS",
    "PUBLISHED_POINTS",
    "RESIDUAL_POINTS",
    "Architecture",
    "Backbone",
    "Block",
    "DecisionTransformer",
    "Head",
    "Stack",
    "StackConfig",
    "build_model",
    "capture",
    "load_backbone",
    "queries_and_keys",
    "stack_config",
]
