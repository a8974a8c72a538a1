"""The forms of a student beside PyTorch's: ONNX in float32, and int8 made from it.

onnx        writes the files, and holds float32 against PyTorch
served      one of them where a PyTorch model is expected
convert     a student's further forms, ready to be asked
"""

from tune_distill.forms.convert import NAMES, Converted, Wanted, convert
from tune_distill.forms.served import Served, computations

__all__ = ["NAMES", "Converted", "Served", "Wanted", "computations", "convert"]
