"""What `assess` computes, a table a module."""
