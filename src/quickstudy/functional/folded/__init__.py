"""Operations that are vectorised over tasks by laying the tasks side by side as channels."""
