"""
What a model is: its recipe, its files and manifest, its ONNX graph, and the registry that says which one is
in use.
"""
