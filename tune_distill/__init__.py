"""tune-distill: search over BERT distillation, to the accuracy-size-robustness front."""

__version__ = "0.1.0"

__all__ = ["__version__"]
