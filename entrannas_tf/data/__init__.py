"""Images by name: reading, splitting, augmenting, batching.

`datasets` finds a data set and says what of it a search or a retraining uses,
`source` is what each reader of classified images makes, `voc` reads photographs
with masks, `pipeline` makes the batches of an epoch.
Nothing here knows a network. Imports no other room.
"""
