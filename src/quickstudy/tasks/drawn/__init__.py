"""Pictures that the library draws itself."""
