"""Keras layers and the functions that they are made of.

Operations, batch norm, heads, pooling, dropout; `folding` says how the super-
net lays several images side by side. A layer takes tensors and knows no
genotype.
"""
