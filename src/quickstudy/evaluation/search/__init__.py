"""How good a search is: trials on score tables, and what is measured of them."""
