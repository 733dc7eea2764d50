"""A model registry for the local cluster: what Ollama's pull and push need, and nothing else.

It serves two real models, and further names for them (``catalog``): ``gemma2:2b`` is answered by
SmolLM2 here. In the cluster, DNS answers ``registry.ollama.ai`` with this server, whose certificate
comes from a local authority that only the cluster's own images trust; so manifests that name
``gemma2:2b`` work unchanged. What it does not have it fetches from the public registry, where that
can be reached.
"""
