"""Keras layers and the functions that they are made of.

`operations` are the candidates, `blocks` the stems and what operations are
made of; batch norm, heads, pooling, dropout. `folding` says how the super-net
lays several images side by side, `precision` which types networks compute in.
A layer takes tensors and knows no genotype.
"""
