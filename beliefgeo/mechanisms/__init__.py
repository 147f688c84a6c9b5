"""How a network works: attention by lag, the evidence that heads write, and what its activations cause."""
