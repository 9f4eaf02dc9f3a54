"""The search space and the architecture parameters: no network, no data.

The search space, genotypes and the published ones, the paper's equations from
alpha and beta to a genotype (2, 4, 5, 7-10), and the Keras layer that owns
alpha and beta. Begin with `search_space`, then `relaxation` and `derivation`.
Imports no other room; TensorFlow is known to `relaxation` and `parameters`
alone.
"""
