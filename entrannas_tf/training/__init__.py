"""The parts of searches and retrainings, from devices to the command line.

The loop over epochs and steps with its checkpoints and callbacks, optimizers,
losses and schedules, strategies and several workers, workdirs, and how a
program of `launch/` ends. Begin with `loop` and `run`. May import
`architecture`, `data`, `config` and `networks`.
"""
