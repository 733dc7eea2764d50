"""Kubernetes' own objects, as far as decisions read them."""
