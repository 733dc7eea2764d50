"""A model registry for the local cluster, with only what Ollama's pull and push need.

It serves two real models, and further names for them (``catalog``): ``gemma2:2b`` is SmolLM2 here.
In the cluster, DNS resolves ``registry.ollama.ai`` to this server, whose certificate is by a local
authority that only the cluster's images trust; so manifests that name ``gemma2:2b`` work unchanged.
It fetches other models from the public registry, if that can be reached.
"""
