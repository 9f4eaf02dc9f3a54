"""Tables 1 to 4 and Figure 5 of the paper (section 4.1).

`workflow` makes the runs of a table and shares them between tables, `ladder`
measures Table 3, `report` writes tables and plots beside the paper's numbers.
"""
