"""The page: teach a bundle in the browser, ask it, and look at how it was trained."""
