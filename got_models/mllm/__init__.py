"""The multimodal LLM: it writes reasoning chains and reads them."""
