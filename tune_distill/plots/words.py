"""How measures and knobs are written: labels with units, figures with the digits they deserve."""

from __future__ import annotations

import re

_LABELS = {
    "accuracy": "accuracy",
    "size_mb": "size (MB)",
    "parameters": "parameters",
    "flops": "FLOPs per example",
    "latency_ms": "latency (ms)",
    "robust_worst": "accuracy under attack",
    "clean_on_attacked": "accuracy on the attacked rows",
    "robust_kept": "accuracy kept under attack",
}
_RATES = {"accuracy", "robust_worst", "clean_on_attacked"}
_PREFIXES = ("", "k", "M", "G", "T", "P")  # of 10^0, 10^3, ...


def label(name: str) -> str:
    """A measure's name with its unit."""
    attack = name.removeprefix("robust_")
    plain = name.replace("_", " ") if attack == name else f"accuracy under {attack}"
    return _LABELS.get(name, plain)


def bare(name: str) -> str:
    """A measure's name without its unit."""
    return label(name).partition(" (")[0]


def figure(name: str, value: float) -> str:
    """A measure's value: rates with three decimals, anything else with three digits."""
    rate = name in _RATES or name.startswith("robust_")
    return f"{value:.3f}" if rate else short(value)


def short(value: float) -> str:
    """Three digits, with k, M, G ... from 10 000 on: 0.034, 4.57, 181, 4.39 M."""
    power = 0
    if abs(value) >= 1e4:
        while abs(value) >= 999.5 and power < len(_PREFIXES) - 1:
            value /= 1000
            power += 1
    digits = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
    text = f"{value:.3g}" if abs(value) < 0.995 else f"{value:.{digits}f}"
    return f"{text} {_PREFIXES[power]}".strip()


def tick(value: float) -> str:
    """A round value beside an axis: 20 rather than 20.0."""
    return re.sub(r"\.0+(?= |$)", "", short(value))


def knob(path: str) -> str:
    """A knob's path as a heading: student.layers -> layers, method.kd.alpha -> kd alpha."""
    parts = path.split(".")
    kept = parts[1:] if len(parts) > 1 else parts
    return " ".join(kept).replace("_", " ")


def setting(value: object) -> str:
    """A knob's value: 3.52e-4, 0.3, kd."""
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    if 0 < abs(value) < 1e-3:
        mantissa, _, exponent = f"{value:.3g}".partition("e")
        return f"{mantissa}e{int(exponent)}" if exponent else f"{value * 1e4:.3g}e-4"
    return f"{value:.3g}"
