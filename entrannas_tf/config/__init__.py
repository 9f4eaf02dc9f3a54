"""Typed configurations: dataclasses, the rules of their fields, reading.

`search`, `retrain` and `common` hold the fields and their rules; `schema`
reads all kinds, checks names, types and ranges, and says what is wrong.
Values only: nothing is loaded or built. May import `architecture`.
"""
