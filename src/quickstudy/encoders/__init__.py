"""Raw inputs as tensors: pictures, texts, molecules, tables and series; what takes its time is kept by content."""
