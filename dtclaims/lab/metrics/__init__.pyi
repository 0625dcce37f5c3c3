from .attention import (
    attention_gap,
    causal_attention_distance,
    fused_attention_distance,
    relative_gap,
)
from .cka import CkaMatrix, Estimator, cka_matrix, linear_cka, permutation_null
from .cka_layers import (
    Axis,
    Token,
    layer_features,
    layerwise_cka,
    published_cka,
    published_cka_matrix,
)
from .curves import (
    area,
    best,
    best_epoch,
    epochs_to_threshold,
    last_mean,
    normalized_score,
    published_ema,
    unbiased_ema,
)
from .estimates import MutualInformation, evaluable, unreadable_share
from .gradient_readings import GradientConfusion, GradientNorms, GradientShares
from .gradients import gradient_confusion, gradient_norms, gradient_shares, norms_and_confusion
from .information import mutual_information, mutual_informations
from .inputs import Array, Floats
from .mine import PublishedMine
from .mine_heldout import HeldOutMine
from .parameters import ParameterSimilarity, parameter_similarity
from .probe import probe_r2

__all__ = [
    "Array",
    "Axis",
    "CkaMatrix",
    "Estimator",
    "Floats",
    "GradientConfusion",
    "GradientNorms",
    "GradientShares",
    "HeldOutMine",
    "MutualInformation",
    "ParameterSimilarity",
    "PublishedMine",
    "Token",
    "area",
    "attention_gap",
    "best",
    "best_epoch",
    "causal_attention_distance",
    "cka_matrix",
    "epochs_to_threshold",
    "evaluable",
    "fused_attention_distance",
    "gradient_confusion",
    "gradient_norms",
    "gradient_shares",
    "last_mean",
    "layer_features",
    "layerwise_cka",
    "linear_cka",
    "mutual_information",
    "mutual_informations",
    "normalized_score",
    "norms_and_confusion",
    "parameter_similarity",
    "permutation_null",
    "probe_r2",
    "published_cka",
    "published_cka_matrix",
    "published_ema",
    "relative_gap",
    "unbiased_ema",
    "unreadable_share",
]
