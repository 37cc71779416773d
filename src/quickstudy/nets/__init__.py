"""Networks that the literature uses; a learner takes any `nn.Module` in their place."""
