"""Learners as graphs that run without quickstudy: ONNX, and programs of torch.export."""

from .files import Exported, export_bundle, export_state

__all__ = ["Exported", "export_bundle", "export_state"]
