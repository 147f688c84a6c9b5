"""How a network works: attention by lag, and the evidence that heads write."""
