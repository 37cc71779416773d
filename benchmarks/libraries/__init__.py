"""The libraries that peers.py times: how each is installed, driven and measured.

Modules that a library's own environment imports (work, torch_net, worker and one a library) need numpy and that library
alone, never quickstudy.
"""
