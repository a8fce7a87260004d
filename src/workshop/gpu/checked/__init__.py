"""The checked back end: the IR interpreted in lockstep, every access judged."""

from workshop.gpu.checked.backend import CheckedBackend as CheckedBackend
