"""The Decision Transformer, its arms, and what is read out of it."""

# Names are listed in __init__.pyi and loaded when first used: checkpoints must be found without torch.
import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
