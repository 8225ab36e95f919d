"""How results are written: numbers, tables, pages, model cards."""
