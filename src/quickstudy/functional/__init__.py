"""Pure tensor maths: torch in, torch out, no class of ours."""
