"""Computing signals: one pass of the teacher over the split, written in order as it goes.

The split is taken in windows of consecutive rows. Within a window rows are batched by length, as in
evaluation, and put back in order in memory; so files grow from front to back, whatever the file
system, and their checksums with them. The teacher waits for neither: a thread puts away the batch
before the one that is computed, another writes the window before. A window's size bounds the
memory, not the speed: it still holds many batches of similar lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tune_distill import signals
from tune_distill.cache.files import Writer
from tune_distill.cache.sizes import Layout
from tune_distill.errors import TeacherError
from tune_distill.signals import Needs, Signals
from tune_distill.tasks import Encoded, ordered_batches
from tune_distill.teacher.store import Say

if TYPE_CHECKING:
    from transformers import PreTrainedModel

WINDOW = 128 * 10**6  # bytes of signals; two windows are in memory, one of them being written
CPU_TOKENS, GPU_TOKENS = 1024, 32768  # of a batch, padding included


def build(
    model: PreTrainedModel,
    encoded: Encoded,
    wanted: Sequence[Layout],
    folder: Path,
    *,
    say: Say,
    device: str,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Computes these signals of every row into `folder`.

    Raises:
        TeacherError: a signal is not finite, or too large for its type.
    """
    needs = _needs(wanted)
    model.to(device).eval()  # type: ignore[arg-type]
    budget = GPU_TOKENS if device.startswith("cuda") else CPU_TOKENS
    with ExitStack() as stack:
        writers = [stack.enter_context(Writer(folder, layout)) for layout in wanted]
        storing, writing = (stack.enter_context(_Behind()) for _ in range(2))
        for start, stop in _windows(encoded, wanted):
            part = _slice(encoded, start, stop)
            buffers = {layout.name: _buffer(layout, part) for layout in wanted}
            for rows in ordered_batches(part, budget):
                batch = part.batch(rows).to(device)
                with torch.inference_mode():
                    found = signals.run(model, batch.inputs(), needs, whole=True)
                storing.then(_store, found, part, rows, buffers)
            storing.wait()
            writing.then(_append, writers, buffers)
            if progress is not None:
                progress(stop, len(encoded))
        writing.wait()
        for writer in writers:
            writer.finish()
    say(f"teacher signals: {', '.join(layout.name for layout in wanted)} computed")


class _Behind:
    """A thread that is one call behind; what goes wrong in it is raised at the next."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._last: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_fault: object) -> None:
        self._thread.shutdown()

    def then(self, function: Callable[..., None], *given: object) -> None:
        """Calls a function there, when the call before is done."""
        self.wait()
        self._last = self._thread.submit(function, *given)

    def wait(self) -> None:
        """Until the last call is done."""
        if self._last is not None:
            self._last.result()


def _store(
    found: Signals, part: Encoded, rows: NDArray[np.int64], buffers: dict[str, NDArray[Any]]
) -> None:
    """Puts the signals of a batch where they belong in a window."""
    real = found.mask.cpu().numpy()
    place = (part.offsets[rows][:, None] + np.arange(real.shape[1]))[real]
    for name, buffer in buffers.items():
        values = of(found, name)
        if values.ndim == 3:
            buffer[place] = _stored(values[found.mask], buffer.dtype, name)
        else:
            buffer[rows] = _stored(values, buffer.dtype, name)


def _append(writers: Sequence[Writer], buffers: dict[str, NDArray[Any]]) -> None:
    for writer in writers:
        writer.append(buffers[writer.layout.name])


def of(found: Signals, name: str) -> Tensor:
    """A signal by its name: logits, cls.4, hidden.6 ..."""
    kind, _, layer = name.partition(".")
    value: Tensor = found.scores() if kind == "logits" else getattr(found, kind)[int(layer)]
    return value


def _stored(values: Tensor, dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    """The values as they are filed; refused if they would not survive it."""
    least, largest = map(float, torch.aminmax(values.float()))
    reach = max(-least, largest)
    if not reach <= float(np.finfo(dtype).max):  # NaN is neither
        raise TeacherError(
            f"the teacher's signal {name} reaches {reach:g}, which float16 can't hold (its "
            "largest number is 65,504); `teacher: {cache_gb: 0}` computes all signals live"
            if np.isfinite(reach)
            else f"the teacher's signal {name} is not finite; its weights are broken"
        )
    return (values.half() if dtype == np.float16 else values.float()).cpu().numpy()


def _windows(encoded: Encoded, wanted: Sequence[Layout]) -> Iterator[tuple[int, int]]:
    """(start, stop) of consecutive rows whose signals fit into a window, or of a single row."""
    weights = np.zeros(len(encoded), np.int64)
    for layout in wanted:
        rows = encoded.lengths if layout.ragged else 1
        weights += rows * layout.width * layout.numpy.itemsize
    ends = np.cumsum(weights)
    start = 0
    while start < len(encoded):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + WINDOW, side="right")))
        yield start, stop
        start = stop


def _slice(encoded: Encoded, start: int, stop: int) -> Encoded:
    """Consecutive rows of a split, as a split."""
    low, high = encoded.offsets[start], encoded.offsets[stop]
    return Encoded(
        encoded.tokens[low:high],
        None if encoded.types is None else encoded.types[low:high],
        encoded.offsets[start : stop + 1] - low,
        encoded.labels[start:stop],
        encoded.pad_id,
    )


def _buffer(layout: Layout, part: Encoded) -> NDArray[Any]:
    rows = int(part.offsets[-1]) if layout.ragged else len(part)
    return np.empty((rows, layout.width), layout.numpy)


def _needs(wanted: Sequence[Layout]) -> Needs:
    needs = Needs()
    for layout in wanted:
        kind, _, layer = layout.name.partition(".")
        needs |= {
            "logits": Needs(logits=True),
            "cls": Needs(cls=(int(layer or 0),)),
            "hidden": Needs(hidden=(int(layer or 0),)),
        }.get(kind, Needs(qkv=(int(layer or 0),)))
    return needs
