"""The paper's tables and figures as commands, and the benchmarks.

Studies run what the other rooms offer and add nothing to it; no room imports
them.
"""
