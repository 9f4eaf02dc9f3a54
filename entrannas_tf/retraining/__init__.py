"""From a genotype to a trained and exported network.

`workflow` is the whole of it, `step` one training step, `run` what the training
loop asks for, `results` what is left in the workdir; `export`, `model_card` and
`classify` take the network home. May import all rooms below.
"""
