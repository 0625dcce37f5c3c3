"""Measurements: arrays in, numbers out. Where the published and the corrected form differ, each is named.

| measurement | published | corrected |
|---|---|---|
| layer similarity | `layerwise_cka(axis="unit")` | `layerwise_cka(axis="token")` (DEV-01, 33) |
| layer similarity beyond the inputs | – | `layerwise_regressed_cka` (DEV-01) |
| CKA of two feature sets | `published_cka`, `published_cka_matrix` | `linear_cka`, `cka_matrix` (DEV-33) |
| mutual information | `mutual_information(protocol="published")` | the same with "corrected" (DEV-02, 20, 23) |
| linear information | – | `probes` (DEV-02) |
| parameter similarity | `.l2`, `.published_cosine` | `.relative_displacement`, `.cosine` (DEV-19) |
| gradient norms | `gradient_norms(protocol="published")` | the same with "corrected" (DEV-05, 06) |
| gradient confusion | `gradient_confusion(protocol="published")` | the same with "corrected" (DEV-05, 22) |
| gradient shares | `gradient_shares(protocol="published")` | the same with "corrected" (DEV-34) |
| attention distance | `fused_attention_distance` | `causal_attention_distance` (DEV-08) |
| attention gap | `attention_gap` | `attention_change` (DEV-08) |
| smoothing | `published_ema` | `unbiased_ema` (DEV-12) |
| score of a run | `best` | `last_mean` (DEV-10) |

All of them want the same windows, in the same order, on both sides of a comparison (DEV-22).
"""

# Names are listed in __init__.pyi and loaded when first used: curves must be readable without torch.
import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
