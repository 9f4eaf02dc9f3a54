"""How the super-net runs fast though its cells change: small graphs, chained.

`graphs` traces a pure function and cuts it into forward and backward,
`packed_layer` runs a Keras layer through such graphs, `tape` chains them,
`profiling` says where the time goes. What is computed stands in
`networks.cells`, not here.
"""
