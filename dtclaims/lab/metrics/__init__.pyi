from .attention import (
    attention_change,
    attention_gap,
    causal_attention_distance,
    fused_attention_distance,
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
from .cka_regressed import InputKernels, layerwise_regressed_cka, permutation_sd, regressed_cka
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
from .estimates import Estimate, MutualInformation, evaluable, unreadable_share
from .gradient_readings import GradientConfusion, GradientNorms, GradientShares
from .gradients import gradient_confusion, gradient_norms, gradient_shares, norms_and_confusion
from .information import mutual_information, mutual_informations
from .inputs import Array, Floats
from .mine import PublishedMine
from .mine_heldout import HeldOutMine
from .parameters import ParameterSimilarity, parameter_similarity
from .probe import Probe, probes

__all__ = [
    "Array",
    "Axis",
    "CkaMatrix",
    "Estimate",
    "Estimator",
    "Floats",
    "GradientConfusion",
    "GradientNorms",
    "GradientShares",
    "HeldOutMine",
    "InputKernels",
    "MutualInformation",
    "ParameterSimilarity",
    "Probe",
    "PublishedMine",
    "Token",
    "area",
    "attention_change",
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
    "layerwise_regressed_cka",
    "linear_cka",
    "mutual_information",
    "mutual_informations",
    "normalized_score",
    "norms_and_confusion",
    "parameter_similarity",
    "permutation_null",
    "permutation_sd",
    "probes",
    "published_cka",
    "published_cka_matrix",
    "published_ema",
    "regressed_cka",
    "unbiased_ema",
    "unreadable_share",
]
