"""From a genotype to a trained and exported network.

`workflow` is the whole of it, `step` one training step, `run` what the
training loop asks for, `results` what is left in the workdir. `export` writes
a SavedModel or a LiteRT file, `model_card` describes it, `classify` runs it.
May import all rooms but `search`, `tuning` and `studies`.
"""
