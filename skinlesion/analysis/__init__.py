"""Analysis of predictions: assessment, comparison and the value of metadata, as tables; reads and writes no file."""
