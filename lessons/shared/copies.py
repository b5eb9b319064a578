"""Which lessons make copies of all weights, and so need several times the memory that the model takes. Torch-free."""

COPIES = {"gradients": 2, "quantization": 1}
"""How many in fp32: a model on its way down and its gradients; one that is rounded."""
