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
from .cka_streaming import StreamingCka
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
from .inputs import Array, Floats
from .parameters import ParameterSimilarity, parameter_similarity

__all__ = [
    "Array",
    "Axis",
    "CkaMatrix",
    "Estimator",
    "Floats",
    "ParameterSimilarity",
    "StreamingCka",
    "Token",
    "area",
    "attention_gap",
    "best",
    "best_epoch",
    "causal_attention_distance",
    "cka_matrix",
    "epochs_to_threshold",
    "fused_attention_distance",
    "last_mean",
    "layer_features",
    "layerwise_cka",
    "linear_cka",
    "normalized_score",
    "parameter_similarity",
    "permutation_null",
    "published_cka",
    "published_cka_matrix",
    "published_ema",
    "relative_gap",
    "unbiased_ema",
]
