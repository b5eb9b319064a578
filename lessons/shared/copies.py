"""Which lessons make copies of all weights, and so need several times the memory that the model takes. Torch-free."""

COPIES = {"gradients": 4, "weights": 2, "quantization": 2, "dimension-tradeoffs": 2}
"""How many in fp32, measured at their peak: a model on its way down, its gradients, and what is made of both; what is
shuffled, rounded or narrowed, while the one before is still there."""
