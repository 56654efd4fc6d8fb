"""Encoders from a folder of ONNX models."""
