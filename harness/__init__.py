"""TabOrder: a benchmarking harness for synthetic tabular data generators."""

__version__ = "0.1.0"
