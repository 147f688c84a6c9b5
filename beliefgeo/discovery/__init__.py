"""What is found without being told the process: dimension, process, states and geometry, read off any model."""
