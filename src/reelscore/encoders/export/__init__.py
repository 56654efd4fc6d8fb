"""Export transformers models to a pack of ONNX files."""
