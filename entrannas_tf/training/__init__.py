"""What a search and a retraining share, from devices to the command line.

The loop over epochs and steps with its checkpoints and callbacks, optimizers,
losses and schedules, strategies and several workers, workdirs, and how a
program of `launch/` ends. Nothing here is about a search alone or a retraining
alone. May import the rooms below: `architecture`, `data`, `config`,
`networks`.
"""
