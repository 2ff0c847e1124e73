"""What a model is: recipe, files and manifest, ONNX graph, and the registry that says which is in use."""
