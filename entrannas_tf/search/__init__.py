"""From a configuration to a genotype.

`workflow` is the whole of it, `step` the step that updates weights and
architecture in turn, `run` what the training loop asks for, `results` what is
left in the workdir; `methods` are the baselines as configurations. May import
all rooms below.
"""
