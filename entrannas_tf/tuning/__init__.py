"""Searches and retrainings as trials of Keras-Tuner.

`workflow` is the whole of it; `oracle` proposes trials, `tuner` runs them,
`trials` says what each is, `workers` keeps several processes together,
`hypermodel` is the target network for Keras-Tuner's own tuners. May import all
rooms but `studies`.
"""
