"""Charts of HTML and inline SVG: they scale, print, follow dark mode and need no library."""
