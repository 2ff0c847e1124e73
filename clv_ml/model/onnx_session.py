"""
Runs a recipe's graph so that a row's result never depends on the rows around it.

ONNX Runtime computes Exp in packets and the last few rows of a batch by another routine, one bit apart at
times, and splits large batches between its own threads. So a session has one thread, and a batch is padded to
whole packets.
"""

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from clv_ml.model.onnx_export import ANCHOR, FEATURES

PACKET_ROWS = 16
"""Twice the doubles of the widest vector register in use (AVX-512)."""


def open_session(onnx_bytes: bytes) -> ort.InferenceSession:
    """A single-threaded session on the CPU; callers may run it from several threads at once."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(onnx_bytes, options, providers=["CPUExecutionProvider"])


def padded_rows(rows: int) -> int:
    """The next multiple of a packet."""
    return -(-rows // PACKET_ROWS) * PACKET_ROWS


def run_padded(
    session: ort.InferenceSession, features: NDArray[np.float64], anchor: NDArray[np.float64] | None
) -> dict[str, NDArray[np.float64]]:
    """
    Every output, padding included, for a batch that is already padded: features (n, F), row-major, n a
    multiple of ``PACKET_ROWS``, and anchor (n,).
    """
    feeds = {FEATURES: features} if anchor is None else {FEATURES: features, ANCHOR: anchor}
    wanted = {node.name for node in session.get_inputs()}
    names = [node.name for node in session.get_outputs()]
    values = session.run(names, {name: value for name, value in feeds.items() if name in wanted})
    # pyrefly: ignore[bad-return]
    return dict(zip(names, values, strict=True))


def evaluate(
    session: ort.InferenceSession, features: NDArray[np.float64], anchor: NDArray[np.float64] | None
) -> dict[str, NDArray[np.float64]]:
    """Every output for any number of rows: features (n, F) and anchor (n,) to output name and shape (n,)."""
    rows = len(features)
    padding = padded_rows(rows) - rows
    features = np.ascontiguousarray(np.pad(features, ((0, padding), (0, 0))), dtype=np.float64)
    if anchor is not None:
        anchor = np.ascontiguousarray(np.pad(anchor, (0, padding)), dtype=np.float64)
    outputs = run_padded(session, features, anchor)
    return {name: values[:rows] for name, values in outputs.items()}
