"""Networks: the super-net that is searched, the target network that is found.

`cells` and `supernet` are the super-net, `target` is the network of a
genotype. `cost` counts its parameters and multiply-adds without building it,
`porting` copies DARTS's weights into one. Their layers are in `layers/`;
`execution/` runs the super-net. No optimizer, no data. May import
`architecture`.
"""
