"""Typed configurations: dataclasses, the rules of their fields, reading.

`search`, `retrain` and `common` hold the fields, `schema` checks names, types
and ranges and says what is wrong; `search.from_config_dict` reads every kind.
Values only: nothing is loaded or built. May import `architecture`.
"""
