"""The graph and its meaning: tensors, data types, quantization, what is legal, what each op computes."""
