from .activations import (
    DISTINCT_POINTS,
    PUBLISHED_POINTS,
    RESIDUAL_POINTS,
    capture,
    queries_and_keys,
)
from .arms import Architecture, build_model, stack_config
from .backbones import Backbone, load_backbone
from .behaviour_cloning import BehaviourCloning
from .decision_transformer import DecisionTransformer, Head
from .hub import find_folder, hub_folder
from .policy import Policy
from .transformer import Block, Stack, StackConfig

__all__ = [
    "DISTINCT_POINTS",
    "PUBLISHED_POINTS",
    "RESIDUAL_POINTS",
    "Architecture",
    "Backbone",
    "BehaviourCloning",
    "Block",
    "DecisionTransformer",
    "Head",
    "Policy",
    "Stack",
    "StackConfig",
    "build_model",
    "capture",
    "find_folder",
    "hub_folder",
    "load_backbone",
    "queries_and_keys",
    "stack_config",
]
