"""Networks: the super-net that is searched, the target network that is found.

`cells` and `supernet` are the super-net, `target` the network of a genotype,
`cost` counts that one unbuilt, `porting` reads DARTS's weights. Their layers
are in `layers/`; `execution/` runs the super-net. No optimizer, no data. May
import `architecture`.
"""
