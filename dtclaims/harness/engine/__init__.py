"""Who carries jobs out, and how that goes."""
