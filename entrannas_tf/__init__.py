"""Differentiable architecture search by EnTranNAS and EnTranNAS-DST."""
