"""`python -m benchmarks.gpu`: what only a GPU shows, most important first, within a time budget."""
