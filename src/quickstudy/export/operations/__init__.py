"""What ONNX has no operation for, made of operations that it has."""
