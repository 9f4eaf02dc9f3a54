"""Pictures of cells: drawings, films of a search, heat maps.

`cells` draws a genotype, `film` a search, `heat_maps` alpha and coefficients;
`artist` and `geometry` are their tools. May import `architecture` and
`training`, whose `files` writes them.
"""
