"""What people read of results: pages, model cards, tables and figures, and how numbers are written in them."""
