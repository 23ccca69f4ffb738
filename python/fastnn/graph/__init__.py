"""Graphs: what a model computes as data, and what is told from that."""

from fastnn.graph.graph import Call, Graph, Ref, Size, Value, Visit
from fastnn.graph.recorder import TraceError
from fastnn.graph.rewrite import rewrite
from fastnn.graph.trace import trace

__all__ = ["Call", "Graph", "Ref", "Size", "TraceError", "Value", "Visit", "rewrite", "trace"]
