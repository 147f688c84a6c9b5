def draw(results): return {}
