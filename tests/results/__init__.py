"""Where results lie and the one reader of them."""
