"""A model registry for the local cluster: what Ollama's pull and push need, and nothing else.

Everything in its catalog is a **stand-in**: a few hand-written megabytes (``localcluster.model``)
under the name of a real model, because no weights can be had here. In the cluster, DNS answers
``registry.ollama.ai`` with this server, whose certificate comes from a local authority that only
the cluster's own images trust; so manifests that name ``gemma2:2b`` work unchanged.
"""
