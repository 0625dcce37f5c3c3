"""The Decision Transformer, its arms, and what is read out of it."""

from dtclaims.models.arms import ARMS, Architecture, Arm, build_model, get_arm, stack_config
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
    "ARMS",
    "DISTINCT_POINTS",
    "PUBLISHED_POINTS",
    "RESIDUAL_POINTS",
    "Architecture",
    "Arm",
    "Backbone",
    "Block",
    "DecisionTransformer",
    "Head",
    "Stack",
    "StackConfig",
    "build_model",
    "capture",
    "get_arm",
    "load_backbone",
    "queries_and_keys",
    "stack_config",
]
