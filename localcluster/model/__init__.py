"""Stand-ins for language models: a few megabytes, written by hand, run by the real engine.

No model weights can be had where this project is built and tested, only package registries. These
files have the architecture, the tokenizer and the container format of a real model (llama, GGUF);
the real Ollama loads and runs them. What they can say is the table in ``answers``: the reply
depends on the system prompt, on the last message, and on which model it is. They know nothing else.
"""
