"""Which lessons make copies of all weights, and so need several times the memory that the model takes. Torch-free."""

COPIES = {"gradients": 3, "weights": 2, "quantization": 2, "dimension-tradeoffs": 2}
"""How many in fp32, measured at their peak: a model on its way down, and what its longest text and the gradients of a
few weights take besides; what is shuffled, rounded or narrowed, while the one before is still there."""
